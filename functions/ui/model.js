/** What the page derives from the API's data. Nothing here touches the document. */
import { duration, iso, number, percent, plural, seconds, time } from "./format.js";

/** @typedef {import("./types.js").States} States */
/** @typedef {import("./types.js").Rollout} Rollout */
/** @typedef {import("./types.js").Gate} Gate */
/** @typedef {import("./types.js").Event} Event */

/** Keeps the state of each device, and takes in what has changed. */
export class Fleet {
  /** @type {string[]} state and reason of each device, such as "failed timedOut" */
  states = [];
  /** @type {(string|null)[]} what each device ran before */
  versions = [];
  /** @type {(string|null)[]} */
  strata = [];
  revision = 0;

  /**
   * Take in a response. Return the positions that have changed, or null for all of them.
   * @param {States} response
   * @returns {number[]|null}
   */
  apply(response) {
    const whole = response.total !== this.states.length;
    if (whole) {
      this.states = Array(response.total).fill("unknown");
      this.versions = Array(response.total).fill(null);
      this.strata = Array(response.total).fill(null);
    }
    /** @type {number[]} */
    const changed = [];
    const names = Object.fromEntries(Object.entries(response.letters).map(([letter, { state, reason }]) => [letter, [state ?? "unknown", reason].filter(Boolean).join(" ")]));
    for (const block of response.blocks) {
      for (let index = 0; index < block.states.length; index++) {
        const position = block.first + index;
        const name = names[block.states[index] ?? ""] ?? "unknown";
        if (this.states[position] !== name) changed.push(position);
        this.states[position] = name;
        this.versions[position] = spelled(response.versions, block.versions[index]);
        if (block.strata) this.strata[position] = spelled(response.strata ?? [], block.strata[index]);
      }
    }
    this.revision = response.revision;
    return whole ? null : changed;
  }
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/** @param {string[]} values @param {string|undefined} letter */
function spelled(values, letter) {
  if (!letter || letter === ".") return null;
  return values[LETTERS.indexOf(letter)] ?? "other";
}

// There are few different names, and each update looks at those of 10,000 devices.
/** @type {Map<string, string>} */
const STATES = new Map();

/** Return the state without its reason. @param {string} name */
export function stateOf(name) {
  let state = STATES.get(name);
  if (state === undefined) STATES.set(name, (state = name.split(" ")[0] ?? "unknown"));
  return state;
}

/** @param {string[]} states */
export function countStates(states) {
  const counts = { total: states.length, queued: 0, updating: 0, completed: 0, failed: 0, cancelled: 0, skipped: 0 };
  for (const name of states) {
    const state = stateOf(name);
    if (state in counts) counts[/** @type {keyof typeof counts} */ (state)] += 1;
    else if (state !== "unknown") counts.updating += 1;
  }
  return counts;
}

/** Say how far a gate is from its decisions. @param {Gate} gate */
export function gateSentence(gate) {
  const name = gate.wave === null ? `stratum ${gate.stratum}` : `wave ${gate.wave}`;
  const { failuresToBreach, healthyToAcceptable } = gate;
  if (failuresToBreach === 0 || gate.ratio >= gate.threshold) return `The gate of ${name} is breached.`;
  const stop = failuresToBreach === 1 ? `Stops at the next failure in ${name}.` : `Stops ${name} after ${number(failuresToBreach)} more failures in a row.`;
  if (healthyToAcceptable === 0) return `${stop} Its failure rate is shown to be acceptable.`;
  return `${stop} Needs ${plural(healthyToAcceptable, "more healthy device")} to show an acceptable rate.`;
}

/**
 * Say whether the rollout will stop, in an answer and a detail.
 * @param {Rollout} rollout @returns {{text: string, detail: string, kind: string}}
 */
export function stopSentence(rollout) {
  const { status, statusReason } = rollout, gate = closestGate(rollout.gate);
  if (status === "paused") return { text: "It has stopped", detail: statusReason?.message.split(" Next: ")[0] ?? "", kind: "bad" };
  if (status === "failed" || status === "cancelled") return { text: `It has ended: ${status}`, detail: "", kind: "bad" };
  if (rollout.endedAt) return { text: "No: it has ended", detail: "", kind: "" };
  if (isWaitingForApproval(rollout)) return { text: "It waits for a person", detail: statusReason?.message ?? "", kind: "warn" };
  // A look back has the history of the gate only.
  if (!gate && rollout.waves.some((wave) => wave.status === "running")) return { text: "See the chart of the gate", detail: "", kind: "" };
  if (!gate) return { text: "Not now: no wave is open", detail: "", kind: "" };
  return { text: gateSentence(gate), detail: "", kind: gate.failuresToBreach <= 1 ? "bad" : "" };
}

/** @param {Rollout} rollout */
export const isWaitingForApproval = (rollout) => rollout.status === "running" && rollout.statusReason?.code === "awaitingApproval";

/**
 * Return a step for each failure, because several devices may fail in one tick, and for each fall of the ratio.
 * @param {import("./types.js").GateStep[]} steps of one wave or stratum
 * @returns {{at: number, ratio: number, failure: number|null, isGuess: boolean}[]} `failure`: its number; null: the ratio fell
 */
export function splitFailures(steps) {
  let ratio = 0, failed = 0;
  return steps.flatMap((step) => {
    /** @type {{at: number, ratio: number, failure: number|null, isGuess: boolean}[]} */
    const found = [];
    const before = ratio, rises = step.ratio > before;
    const count = rises ? Math.max(1, (step.failed ?? failed + 1) - failed) : 0, first = failed;
    ratio = step.ratio;
    failed = step.failed ?? failed + count;
    const at = Date.parse(step.at);
    if (!rises) found.push({ at, ratio, failure: null, isGuess: false });
    for (let n = 1; n <= count; n++) found.push({ at, ratio: n === count ? ratio : before + ((ratio - before) * n) / count, failure: first + n, isGuess: n < count });
    return found;
  });
}

/** Return the gate that is closest to stopping. @param {Gate[]} gates */
export const closestGate = (gates) => [...gates].sort((a, b) => a.failuresToBreach - b.failuresToBreach || b.ratio - a.ratio)[0];

/**
 * Return Wilson's interval for a share, at 95 %. Source: Wilson, JASA 22 (1927).
 * @param {number} hits @param {number} total
 * @returns {[number, number]}
 */
export function wilson(hits, total) {
  if (total === 0) return [0, 1];
  const z = 1.96, share = hits / total, weight = 1 + (z * z) / total;
  const middle = share + (z * z) / (2 * total);
  const spread = z * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
  return [Math.max(0, (middle - spread) / weight), Math.min(1, (middle + spread) / weight)];
}

/**
 * Count failures and ends by a property of the devices, the most remarkable first.
 * @param {string} kind @param {(string|null)[]} values @param {string[]} states
 */
export function failureRates(kind, values, states) {
  /** @type {Map<string, {failed: number, ended: number}>} */
  const found = new Map();
  let failed = 0, ended = 0;
  states.forEach((name, position) => {
    const state = name === "completed" ? name : stateOf(name), value = values[position];
    if ((state !== "failed" && state !== "completed") || value === null || value === undefined) return;
    const entry = found.get(value) ?? { failed: 0, ended: 0 };
    found.set(value, entry);
    entry.ended += 1;
    ended += 1;
    if (state === "failed") {
      entry.failed += 1;
      failed += 1;
    }
  });
  return [...found].map(([value, entry]) => {
    const [low, high] = wilson(entry.failed, entry.ended);
    const others = wilson(failed - entry.failed, ended - entry.ended);
    const differs = ended > entry.ended && (low > others[1] ? "worse" : high < others[0] ? "better" : "");
    return { kind, value, ...entry, low, high, differs: differs || "" };
  }).sort((a, b) => b.low - a.low);
}

/**
 * Return when all devices have ended, if devices go on to end as they did lately; with the interval
 * of a Poisson count at 95 %. null: nothing to go by.
 * @param {Rollout} rollout @param {States} states
 */
export function forecastEnd(rollout, states) {
  const left = rollout.counts.queued + rollout.counts.updating;
  const curve = states.curve;
  if (rollout.status !== "running" || isWaitingForApproval(rollout) || left === 0 || !curve || !states.forecast) return null;
  const ends = curve.completed.map((count, n) => count + (curve.failed[n] ?? 0));
  const window = Math.max(3, Math.ceil(ends.length / 4));
  const count = ends.slice(-window).reduce((sum, value) => sum + value, 0);
  if (count < 5) return null;
  const span = Math.min(window, ends.length) * curve.stepSeconds;
  const spread = 1.96 * Math.sqrt(count);
  return { middle: (left * span) / count, low: (left * span) / (count + spread), high: (left * span) / Math.max(1, count - spread), left };
}

/** Say when the rollout is done. @param {Rollout} rollout @param {States} states @param {Halt[]} halts */
export function endSentence(rollout, states, halts) {
  const { queued, updating } = rollout.counts, waiting = `${plural(queued, "device")} ${queued === 1 ? "waits" : "wait"}`;
  if (rollout.endedAt) return ["Done", `All devices had ended at ${time(rollout.endedAt)}`];
  if (rollout.status === "cancelled") return ["Soon: it is cancelled", `${plural(updating, "device")} ${updating === 1 ? "goes on to its" : "go on to their"} end`];
  if (rollout.status === "paused") return ["Not while it is paused", waiting];
  if (isWaitingForApproval(rollout)) return ["Not before the approval", waiting];
  const halt = halts.findLast((item) => item.lasts && item.isHalt);
  if (halt && queued > 0) return [halt.end, halt.detail];
  const end = forecastEnd(rollout, states);
  if (end) {
    const now = Date.parse(states.at), [low, high] = [end.low, end.high].map((rest) => time(iso(now + rest * 1000)));
    const isToday = low?.slice(0, 10) === high?.slice(0, 10) && low?.slice(0, 10) === states.at.slice(0, 10);
    return [`In about ${duration(end.middle)}`, `between ${isToday ? low?.slice(11, 16) : low?.slice(0, 16)} and ${isToday ? high?.slice(11, 16) : high?.slice(0, 16)} UTC, at the recent pace`];
  }
  if (!states.forecast || !rollout.startedAt) return ["Not known yet", rollout.startAt ? `it starts at ${time(rollout.startAt)}` : "no device has started"];
  return [`Planned: ${duration(seconds(states.forecast.duration))} from the start`, `limited by ${nameLimit(states.forecast.limitedBy)}; too few devices have ended to say more`];
}

/** Return the seconds until the rollout is done at its average pace; null: it waits, or too few devices have ended. @param {Rollout} rollout @param {number} now ms */
export function averageEnd(rollout, now) {
  const { counts, startedAt } = rollout, ended = counts.completed + counts.failed;
  if (rollout.status !== "running" || rollout.statusReason || !startedAt || ended < 5) return null;
  return ((counts.queued + counts.updating) * Math.max(0, now - Date.parse(startedAt))) / ended / 1000;
}

// Codes of reasons that a person should look at, and of those that are part of a healthy rollout.
const NEEDY = ["awaitingApproval", "ambientOutage", "hubUnavailable", "hubRefusesAccess", "stratumFrozen"];
const USUAL = ["window", "waitingForDevices", "scheduled"];

/** Say why the rollout needs a person; "": it does not. @param {Rollout} rollout */
export function describeNeed(rollout) {
  const { status, statusReason, strata = [], failures = [] } = rollout, message = statusReason?.message ?? "";
  if (status === "paused") return `Paused: ${message}`;
  if (statusReason && NEEDY.includes(statusReason.code)) return message;
  const frozen = strata.filter((item) => item.status === "frozen").map((item) => item.name);
  if (frozen.length && !rollout.endedAt) return `Frozen strata: ${frozen.join(", ")}`;
  const dark = failures.find((item) => item.code === "wentDark")?.count ?? 0;
  return dark && status === "running" ? `${plural(dark, "device")} went dark: accepted the update, and ${dark === 1 ? "is" : "are"} offline since.` : "";
}
/** Say whether the rollout is healthy. @param {Rollout} rollout */
export function healthSentence(rollout) {
  const { failed, completed } = rollout.counts;
  const rate = failed + completed ? percent(failed / (failed + completed)) : "none";
  const detail = `${number(completed)} completed, ${number(failed)} failed (${rate})`;
  if (rollout.status === "paused" || rollout.status === "failed") return { kind: "bad", text: `No: ${rollout.status}`, detail };
  if (rollout.status === "cancelled") return { kind: "warn", text: "Cancelled", detail };
  if (rollout.status === "completed") return { kind: "good", text: "Yes: completed", detail };
  const gate = closestGate(rollout.gate);
  if (isWaitingForApproval(rollout)) return { kind: "warn", text: "Waits for approval", detail };
  const isUnusual = rollout.statusReason !== null && !USUAL.includes(rollout.statusReason.code);
  if (isUnusual || (gate && gate.failuresToBreach <= 1)) return { kind: "warn", text: `Take care: ${rollout.status}`, detail };
  return { kind: "good", text: `Yes: ${rollout.status}`, detail };
}

/**
 * A time in which devices could not start, or not faster.
 * @typedef {{name: string, detail: string, end: string, from: number, to: number, lasts: boolean, isHalt: boolean}} Halt
 */

// By a code, or the action of the event that begins one: its name, and when the rollout is done if it lasts.
const HALTS = /** @type {Record<string, [string, string]>} */ ({
  paused: ["paused", "Not while it is paused"],
  approvalAsked: ["waits for approval", "Not before the approval"],
  frozen: ["frozen", "Not during the freeze"],
  frozenInPart: ["some devices frozen", ""],
  window: ["window closed", "Not before the window opens"],
  dailyQuota: ["day's messages used up", "Not before there are messages again"],
  ambientOutage: ["outage of a network", "Not before the outage ends"],
  hubUnavailable: ["hub fails", "Not before the hub responds"],
  hubRefusesAccess: ["hub refuses the app", "Not before the hub accepts the app"],
});
const OVER = ["cancelled", "rolledBack", "completed", "failed", "ended"];
// Which events end a halt, besides those that end the rollout.
const ENDED_BY = /** @type {Record<string, string[]>} */ ({
  paused: ["resumed", "stratumResumed", "stratumCancelled", "stratumRolledBack"], approvalAsked: ["approved", "paused", "waveOpened"], frozen: ["unfrozen", "frozen"],
});
const LIMITS = /** @type {Record<string, string>} */ ({
  methods: "the hub's quota of direct methods", twinUpdates: "the hub's quota of twin updates", maxInFlight: "maxInFlight", dailyMessages: "the day's messages",
});

/** @param {string} code such as limitedBy */
export const nameLimit = (code) => LIMITS[code] ?? code;

/**
 * Return the times in which the rollout stood still, by its events and the API's `halts`.
 * @param {Rollout} rollout @param {Event[]} events until the time of the states @param {States} states
 * @returns {Halt[]} by their beginning
 */
export function listHalts(rollout, events, states) {
  const end = rollout.endedAt ? Math.min(Date.parse(states.at), Date.parse(rollout.endedAt)) : Date.parse(states.at);
  const halt = (/** @type {string} */ code, /** @type {string} */ detail, /** @type {string} */ since, /** @type {string|null|undefined} */ until) => {
    const [name, waits] = HALTS[code] ?? [code, "Not while it waits"], from = Date.parse(since), to = until ? Date.parse(until) : Infinity;
    return { name, detail, end: waits, from, to: Math.min(to, end), lasts: to > end && !rollout.endedAt, isHalt: code !== "frozenInPart" };
  };
  const told = events.flatMap((event, n) => {
    const endedBy = ENDED_BY[event.action];
    if (!endedBy) return [];
    const later = events.slice(n + 1).find(({ action }) => endedBy.includes(action) || OVER.includes(action));
    // A freeze with a condition holds only devices that match it.
    const code = event.action === "frozen" && event.message.includes(": no device starts that matches ") ? "frozenInPart" : event.action;
    return [halt(code, event.message, event.at, later?.at)];
  });
  // Closed windows are those of the present window.
  const changed = Date.parse(events.findLast(({ action, message }) => action === "changed" && message.includes("window "))?.at ?? "1970-01-01");
  const known = states.halts.filter(({ code, since }) => code !== "window" || Date.parse(since) >= changed).map((item) => halt(item.code, item.message, item.since, item.until));
  return [...told, ...known].filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from);
}

/**
 * Return the times in which starts were as fast as something allowed, or waited for a wave, and name it.
 * @param {Rollout} rollout @param {States} states @param {Halt[]} halts
 * @returns {Halt[]}
 */
export function listPlateaus(rollout, states, halts) {
  const { curve, forecast } = states, start = Date.parse(rollout.startedAt ?? "");
  if (!curve || !forecast || !start) return [];
  const { started, stepSeconds } = curve, length = stepSeconds * 1000, most = rollout.strategy.maxInFlight;
  const end = Math.min(Date.parse(states.at), rollout.endedAt ? Date.parse(rollout.endedAt) : Infinity);
  let inFlight = 0, left = started.reduce((sum, count) => sum + count, 0) + rollout.counts.queued;
  /** @type {Halt[]} */
  const found = [];
  started.forEach((count, n) => {
    const from = start + n * length, to = Math.min(end, from + length);
    inFlight += count - (curve.completed[n] ?? 0) - (curve.failed[n] ?? 0);
    left -= count;
    // A tick starts several devices at once, so a step may be empty while its neighbours have twice as many.
    const near = started.slice(Math.max(0, n - 1), n + 2), pace = Math.max(count, near.reduce((sum, item) => sum + item, 0) / near.length) / stepSeconds;
    const isStill = halts.some((halt) => halt.isHalt && halt.from <= from && halt.to >= to);
    const name = isStill || to <= from ? "" : namePlateau(pace >= 0.8 * forecast.startsPerSecond, most !== null && inFlight >= 0.95 * most, count === 0 && left > 0, from);
    const last = found.at(-1);
    if (name && last?.name === name && last.to === from) last.to = to;
    else if (name) found.push({ name, detail: "", end: "", from, to, lasts: false, isHalt: false });
  });
  return found.filter((item) => item.to - item.from > length);

  /** @param {boolean} isFast @param {boolean} isFull @param {boolean} isIdle @param {number} at */
  function namePlateau(isFast, isFull, isIdle, at) {
    if (isFull) return `maxInFlight: ${number(most ?? 0)} devices at once`;
    if (isFast && forecast) return `${nameLimit(forecast.startsLimitedBy)}: ${Number(forecast.startsPerSecond.toPrecision(3))} a second`;
    if (!isIdle) return "";
    const next = rollout.waves.findIndex((wave) => !wave.startedAt || Date.parse(wave.startedAt) > at);
    return next > 0 ? `waits for wave ${rollout.waves[next - 1]?.name}` : "no queued device is ready";
  }
}

/**
 * Return the rollout as it was, from what is stored: waves by their times, the gate by its history.
 * @param {Rollout} rollout @param {Event[]} events @param {string[]} names states of the devices @param {string} at
 * @returns {Rollout}
 */
export function rolloutAt(rollout, events, names, at) {
  const moment = Date.parse(at);
  const past = (/** @type {string|null} */ text) => text !== null && Date.parse(text) <= moment;
  const steps = (rollout.gateHistory ?? []).filter((step) => past(step.at));
  let first = 0;
  const waves = rollout.waves.map((wave) => {
    const counts = countStates(names.slice(first, first + wave.size));
    first += wave.size;
    const status = !past(wave.startedAt) ? "pending" : past(wave.endedAt) ? wave.status : "running";
    return { ...wave, counts, status, endedAt: past(wave.endedAt) ? wave.endedAt : null };
  });
  const startedAt = past(rollout.startedAt) ? rollout.startedAt : null;
  return { ...rollout, ...statusAt(rollout, events, at), startedAt, rolledBackBy: null, counts: countStates(names), waves, gate: [], gateHistory: steps, endedAt: past(rollout.endedAt) ? rollout.endedAt : null };
}

const STATUS_BY_ACTION = /** @type {Record<string, string>} */ ({
  started: "running", waveOpened: "running", resumed: "running", approved: "running", retried: "running", approvalAsked: "running",
  paused: "paused", cancelled: "cancelled", rolledBack: "cancelled", completed: "completed", failed: "failed",
});

/**
 * Return status and reason of a rollout at a time, by its events.
 * @param {Rollout} rollout @param {Event[]} events @param {string} at
 * @returns {{status: string, statusReason: import("./types.js").Reason|null}}
 */
export function statusAt(rollout, events, at) {
  const moment = Date.parse(at), isPast = (/** @type {string} */ text) => Date.parse(text) <= moment;
  if (!isPast(rollout.createdAt)) return { status: "not created yet", statusReason: null };
  let status = "scheduled", hasStarted = false;
  /** @type {import("./types.js").Reason|null} */
  let statusReason = null;
  for (const { action, message } of events.filter((event) => isPast(event.at))) {
    hasStarted ||= action === "started";
    const found = ["resumed", "retried"].includes(action) && !hasStarted ? "scheduled" : STATUS_BY_ACTION[action];
    // A retry leaves a rollout paused, and a rollback does not cancel one that has ended.
    const isSame = (action === "retried" && status === "paused") || (action === "rolledBack" && OVER.includes(status));
    if (!found || isSame) continue;
    status = found;
    if (action === "approvalAsked") statusReason = { code: "awaitingApproval", message };
    else statusReason = status === "running" || status === "scheduled" ? null : { code: action, message };
  }
  return { status, statusReason };
}
