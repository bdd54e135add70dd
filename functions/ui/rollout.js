/** One rollout: its fleet, its gate, where it hurts, plan and reality, waves and events. */
import { freshness, go } from "./app.js";
import { GrowingList, get, serverNow } from "./api.js";
import { gateRace, planChart } from "./charts.js";
import { COMMANDS, describeChange, isOf } from "./commands.js";
import { asOf, openDialog } from "./dialog.js";
import { h, table, update } from "./dom.js";
import { duration, iso, number, percent, plural, short, time } from "./format.js";
import { Matrix } from "./matrix.js";
import { Fleet, endSentence, failureRates, gateSentence, healthSentence, listHalts, listPlateaus, nameLimit, rolloutAt, splitFailures, stopSentence } from "./model.js";

/** @typedef {import("./types.js").Rollout} Rollout */
/** @typedef {import("./types.js").States} States */
// A response comes at the latest after this time, so that a lost connection shows soon.
const WAIT_SECONDS = 4;

export class RolloutView {
  /** @param {string} id @param {string|null} at */
  constructor(id, at) {
    this.path = `rollouts/${encodeURIComponent(id)}`;
    this.id = id;
    this.at = at;
    this.audit = new GrowingList(`${this.path}/events?limit=100`);
    this.fleet = new Fleet();
    /** @type {Rollout|null} */ this.rollout = null;
    /** @type {import("./types.js").Event[]} */ this.events = [];
    this.eventCount = -1;
    this.shownAt = this.shownStatus = "";
    this.matrix = new Matrix((position) => this.open(position), (position) => this.name(position));
    const part = (/** @type {string} */ title, wide = false, kind = "") => h("section", { class: `${wide ? "wide" : ""} ${kind}`, "aria-label": title });
    this.head = h("div");
    this.commands = h("div", { class: "bar", role: "group", "aria-label": "Commands" });
    this.answers = h("dl", { class: "answers" });
    this.fleetPart = h("section", { class: "wide", "aria-label": "Fleet" }, h("h2", {}, "Fleet, in start order"), this.matrix.element);
    this.gatePart = part("Gate", false, "gate"); this.hurtPart = part("Where it hurts"); this.planPart = part("Plan and reality");
    this.wavesPart = part("Waves"); this.eventsPart = part("Events", true, "events");
    this.element = h("div", {}, this.head, this.commands, this.answers, h("div", { class: "grid" }, this.fleetPart, this.gatePart, this.hurtPart, this.planPart, this.wavesPart, this.eventsPart));
  }

  title() {
    return this.rollout ? `${this.rollout.firmware.version}: ${this.shownStatus}, Fleet Rollout` : "Fleet Rollout";
  }

  async refresh() {
    const isUpdate = this.rollout !== null && !this.at;
    let states = await this.read(this.at ? `?at=${encodeURIComponent(this.at)}` : isUpdate ? `?after=${this.fleet.revision}&waitSeconds=${WAIT_SECONDS}` : "", !isUpdate);
    // Devices have joined, or the target is resolved: an update has neither the others nor the strata.
    if (isUpdate && states.total !== this.fleet.states.length) states = await this.read("", true);
    if (states.eventCount !== this.eventCount) await this.readEvents(states.eventCount);
    if (states.rollout) this.rollout = states.rollout;
    this.shownAt = states.at;
    const changed = this.fleet.apply(states);
    if (this.rollout) this.show(this.rollout, states, changed);
    freshness.tickAge = this.at || this.rollout?.endedAt || !states.tickedAt ? null : (Date.parse(states.at) - Date.parse(states.tickedAt)) / 1000;
    freshness.tickSeconds = states.tickSeconds;
    return this.at ? 3600 : 0.5;
  }

  /** @param {string} query @param {boolean} isLong @returns {Promise<States>} */
  read(query, isLong) {
    return get(`${this.path}/states${query}`, { isLong });
  }

  /** @param {import("./commands.js").Command} item @param {string} at */
  confirm(item, at) {
    const rollout = this.rollout, known = this.events.length;
    if (!rollout) return;
    openDialog({
      title: `${item.label} the rollout of ${rollout.firmware.version}?`, button: item.label, needsReason: item.needsReason,
      effects: item.effects(rollout), choices: item.choices?.(rollout) ?? [], asOf: asOf(rollout.revision, at),
      method: "POST", path: `${this.path}/${item.name}`, body: () => item.body?.(rollout) ?? {},
      changed: () => (this.rollout ? describeChange(rollout, this.rollout) : ""),
      done: (response) => (item.name === "rollback" ? ["Done: ", h("a", { href: `?rollout=${encodeURIComponent(response.id)}` }, `rollback ${response.id}`), " is created."] : [`Done: the rollout is ${response.status}.`]),
      look: async (sent) => {
        await this.readEvents(-1);
        return this.events.slice(known).findLast((event) => event.action === item.action && isOf(event, sent))?.message ?? "";
      },
    });
  }

  /** @param {number} count */
  async readEvents(count) {
    this.events = await this.audit.read();
    this.eventCount = count;
  }

  /** @param {number} position */
  async name(position) {
    const page = await get(`${this.path}/devices?position=${position}&limit=1`);
    return String(page.value[0]?.deviceId ?? "");
  }

  /** @param {number} position */
  async open(position) {
    const name = await this.name(position);
    if (name) go(this.link({ device: name }));
  }

  /** Return a link to a view of this rollout, at the same time. @param {Record<string, string>} more */
  link(more) {
    return `?${new URLSearchParams({ rollout: this.id, ...(this.at && { at: this.at }), ...more })}`;
  }

  /** @param {Rollout} stored @param {States} states @param {number[]|null} changed */
  show(stored, states, changed) {
    const rates = this.rates(), events = this.events.filter((event) => !this.at || Date.parse(event.at) <= Date.parse(this.at));
    const rollout = this.at ? rolloutAt(stored, events, this.fleet.states, this.at) : stored;
    const halts = listHalts(rollout, events, states), plateaus = listPlateaus(rollout, states, halts), last = halts.findLast((halt) => halt.lasts);
    if (this.at && last && rollout.status === "running") rollout.statusReason ??= { code: last.name, message: last.detail };
    this.shownStatus = rollout.status;
    const isAhead = this.at !== null && Date.parse(this.at) > serverNow();
    update(this.head, [rollout.status, rollout.statusReason, rollout.rolledBackBy, isAhead], () => [
      h("h1", {}, `Firmware ${rollout.firmware.version}: ${rollout.status}`),
      h("p", { class: "soft" }, `Rollout ${rollout.id}, by ${rollout.createdBy.name}, created ${time(rollout.createdAt)}`,
        ...other(" Undoes ", rollout.rollbackOf), ...other(" Undone by ", rollout.rolledBackBy)),
      this.at && h("p", { class: "history" }, isAhead ? "This time has not come. " : `As it was at ${time(states.at)}, as far as events and device histories reach. `, h("a", { href: `?rollout=${encodeURIComponent(this.id)}` }, "Show it now")),
      rollout.statusReason && h("p", { class: { running: "warn", scheduled: "warn", completed: "good" }[rollout.status] ?? "bad" }, rollout.statusReason.message)]);
    const allowed = this.at ? [] : COMMANDS.filter((item) => item.isAllowed(rollout));
    update(this.commands, allowed.map((item) => item.label), () => allowed.map((item) => h("button", { type: "button", id: `command-${item.label.replace(" ", "-")}`, onClick: () => this.confirm(item, this.shownAt) }, item.label)));
    const health = healthSentence(rollout), stop = stopSentence(rollout), end = this.at ? ["A look back", ""] : endSentence(rollout, states, halts);
    const worst = rates.find((rate) => rate.differs === "worse");
    update(this.answers, [health, stop, end, worst], () => [
      answer("Is it healthy?", health.text, health.detail, health.kind),
      answer("Will it stop?", stop.text, stop.detail, stop.kind),
      answer("Which devices fail?", worst ? `${worst.kind} ${short(worst.value)}` : "None stand out", worst ? `${worst.failed} of ${worst.ended} failed, ${percent(worst.low)} to ${percent(worst.high)}` : `${plural(rollout.counts.failed, "failure")} in all`, worst ? "bad" : ""),
      answer("When is it done?", end[0] ?? "", end[1] ?? "", "")]);
    this.matrix.show(this.fleet.states, changed, rollout.waves);
    update(this.gatePart, [rollout.gate, rollout.gateHistory], () => this.gates(rollout, Date.parse(states.at)));
    update(this.hurtPart, [rates, states.failures], () => [h("h2", {}, "Where it hurts"),
      table("Failures by code", ["Failure", "Devices#", "For example"], states.failures.map((item) => [item.code, number(item.count), this.device(item.example)])),
      table("Failure rates", ["Group", "Failed#", "Ended#", "Rate, 95 % interval", "Than the others"], rates.slice(0, 12).map((rate) => [`${rate.kind} ${rate.value}`, number(rate.failed), number(rate.ended), `${percent(rate.low)} to ${percent(rate.high)}`, rate.differs && h("strong", { class: rate.differs === "worse" ? "bad" : "good" }, rate.differs)]))]);
    const bands = [...halts, ...plateaus].sort((a, b) => a.from - b.from);
    update(this.planPart, [states.curve, states.forecast, rollout.status, bands], () => [h("h2", {}, "Plan and reality"), planChart(rollout, states, bands),
      h("p", { class: "soft" }, `Thick: ended devices. Thin: started devices. Dashed: the plan, limited by ${nameLimit(states.forecast?.limitedBy ?? "nothing")}. Band: when it ends at the recent pace.`),
      bands.length > 0 && table("Where starts were held or limited", ["Starts", "From", "For", "Why"], [...bands].reverse().slice(0, 12).map((band) => [band.name, time(iso(band.from)), `${duration((band.to - band.from) / 1000)}${band.lasts ? ", still" : ""}`, short(band.detail)]))]);
    update(this.wavesPart, [rollout.waves, events.length], () => [h("h2", {}, "Waves"), table("Waves", ["Wave", "Status", "Done#", "Failed#", "Of#", "Approval"], rollout.waves.map((wave) => [wave.name, wave.status, number(wave.counts.completed), number(wave.counts.failed), number(wave.size), wave.approval ? describeApproval(wave.name, events) : "no"]))]);
    update(this.eventsPart, events.length, () => [h("h2", {}, "Events, newest first"), table("Events", ["Time", "What", "By", "Why"], [...events].reverse().slice(0, 50).map((event) => [h("a", { href: this.link({ at: event.at }) }, time(event.at)), event.action, event.by, event.message]))]);
  }

  /** @param {string} name */
  device(name) {
    return h("a", { href: this.link({ device: name }) }, name);
  }

  rates() {
    const { states, versions, strata } = this.fleet;
    return [...failureRates("stratum", strata, states), ...failureRates("from version", versions, states)].sort((a, b) => b.low - a.low);
  }

  /** @param {Rollout} rollout @param {number} now */
  gates(rollout, now) {
    const steps = rollout.gateHistory ?? [], from = Date.parse(rollout.startedAt ?? rollout.createdAt), to = Math.min(now, Date.parse(rollout.endedAt ?? "") || now);
    const key = (/** @type {{wave: string|null, stratum: string|null}} */ item) => JSON.stringify([item.wave, item.stratum]);
    const open = new Map(rollout.gate.filter((gate) => gate.wave !== null || gate.failed > 0).map((gate) => [key(gate), gate]));
    const race = (/** @type {string} */ name, /** @type {string} */ text) => {
      const own = steps.filter((step) => key(step) === name), gate = open.get(name), last = own.at(-1);
      const threshold = gate?.threshold ?? last?.threshold ?? null, [wave, stratum] = JSON.parse(name);
      return h("div", {}, h("p", {}, text), gateRace(splitFailures(own), gate?.ratio ?? last?.ratio ?? 0, threshold, wave ?? stratum, from, to));
    };
    // Those that are closest to their stop line, or have passed it, first.
    const closeness = (/** @type {string} */ name) => {
      const last = steps.findLast((step) => key(step) === name);
      return last?.threshold ? last.ratio / last.threshold : 0;
    };
    const ended = [...new Set(steps.map(key))].filter((name) => !open.has(name)).sort((a, b) => closeness(b) - closeness(a));
    return [h("h2", {}, "Gate: how close it is to stopping"),
      h("div", { class: "races" }, ...[...open].slice(0, 6).map(([name, gate]) => race(name, gateSentence(gate))),
        ...ended.slice(0, Math.max(2, 6 - open.size)).map((name) => race(name, pastSentence(name, closeness(name))))),
      open.size + ended.length === 0 && h("p", {}, "No device has failed yet."),
      rollout.gate.length > 0 && table("Gate values", ["Gate", "Ratio#", "Stops at#", "Failed#", "Healthy#", "In flight#"], rollout.gate.map((gate) => [gate.wave ?? gate.stratum, h("data", { value: gate.ratio }, String(gate.ratio)), h("data", { value: gate.threshold }, String(gate.threshold)), number(gate.failed), number(gate.healthy), number(gate.inFlight)]))];
  }
}

/** Say how a gate ended that is no longer open. @param {string} name @param {number} closeness ratio by threshold */
function pastSentence(name, closeness) {
  const [wave, stratum] = JSON.parse(name);
  const subject = wave === null ? `Stratum ${stratum}` : `Wave ${wave}`;
  if (closeness >= 1) return `${subject} has passed its stop line.`;
  return wave === null ? `${subject} has not passed its stop line.` : `${subject} is no longer open; it has not passed its stop line.`;
}

/** @param {string} name of a wave @param {import("./types.js").Event[]} events */
function describeApproval(name, events) {
  const given = events.findLast(({ action, message }) => action === "approved" && message.startsWith(`Wave ${name} approved by `));
  return given ? `by ${given.by}, ${time(given.at)}` : "needed";
}

/** @param {string} what @param {string|null} id of another rollout */
const other = (what, id) => (id ? [what, h("a", { href: `?rollout=${encodeURIComponent(id)}` }, id)] : []);

/** @param {string} question @param {string} text @param {string} detail @param {string} kind */
const answer = (question, text, detail, kind) => h("div", { class: kind }, h("dt", {}, question), h("dd", {}, text, detail && h("small", {}, detail)));
