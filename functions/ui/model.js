/** What the page derives from the API's data. Nothing here touches the document. */
import { duration, number, percent, plural, seconds } from "./format.js";

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
  if (status === "paused") return { text: "It has stopped", detail: statusReason?.message ?? "", kind: "bad" };
  if (status === "failed" || status === "cancelled") return { text: `It has ended: ${status}`, detail: "", kind: "bad" };
  if (rollout.endedAt) return { text: "No: it has ended", detail: "", kind: "" };
  if (isWaitingForApproval(rollout)) return { text: "It waits for a person", detail: statusReason?.message ?? "", kind: "warn" };
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

/** Say when the rollout is done. @param {Rollout} rollout @param {States} states */
export function endSentence(rollout, states) {
  if (rollout.endedAt) return ["Done", `All devices had ended at ${rollout.endedAt.slice(0, 16).replace("T", " ")} UTC`];
  if (rollout.status === "paused") return ["Not while it is paused", `${plural(rollout.counts.queued, "device")} wait`];
  if (isWaitingForApproval(rollout)) return ["Not before the approval", `${plural(rollout.counts.queued, "device")} wait`];
  const end = forecastEnd(rollout, states);
  if (end) {
    const at = (/** @type {number} */ rest) => new Date(Date.parse(states.at) + rest * 1000).toISOString().slice(11, 16);
    return [`In about ${duration(end.middle)}`, `between ${at(end.low)} and ${at(end.high)} UTC, at the recent pace`];
  }
  if (!states.forecast || !rollout.startedAt) return ["Not known yet", "no device has started"];
  return [`Planned: ${duration(seconds(states.forecast.duration))} from the start`, `limited by ${states.forecast.limitedBy}; too few devices have ended to say more`];
}

/** Say whether the rollout is healthy. @param {Rollout} rollout */
export function healthSentence(rollout) {
  const { failed, completed } = rollout.counts;
  const rate = failed + completed ? percent(failed / (failed + completed)) : "none";
  const detail = `${number(completed)} completed, ${number(failed)} failed (${rate})`;
  if (rollout.status === "paused" || rollout.status === "failed") return { kind: "bad", text: `No: ${rollout.status}`, detail };
  if (rollout.status === "cancelled") return { kind: "warn", text: "Cancelled", detail };
  const gate = closestGate(rollout.gate);
  if (isWaitingForApproval(rollout)) return { kind: "warn", text: "Waits for approval", detail };
  if (rollout.statusReason || (gate && gate.failuresToBreach <= 1)) return { kind: "warn", text: `Take care: ${rollout.status}`, detail };
  return { kind: "good", text: `Yes: ${rollout.status}`, detail };
}

// By the action of the event that begins one: its name, and the actions that end it.
const HALTS = /** @type {Record<string, [string, string[]]>} */ ({
  paused: ["paused", ["resumed", "cancelled"]],
  outageBegan: ["outage, or the day's messages used up", ["outageEnded"]],
  frozen: ["frozen", ["unfrozen"]],
  approvalAsked: ["waits for approval", ["approved", "cancelled"]],
});

/**
 * Return the times in which the rollout stood still, by its events.
 * @param {Event[]} events @param {string} until
 */
export function listHalts(events, until) {
  return events.flatMap((event, n) => {
    const halt = HALTS[event.action];
    if (!halt) return [];
    const end = events.slice(n + 1).find((later) => halt[1].includes(later.action));
    return [{ name: halt[0], from: Date.parse(event.at), to: Date.parse(end ? end.at : until) }];
  });
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
  const { status, reason } = statusAt(rollout, events.filter((event) => past(event.at)));
  return { ...rollout, status, statusReason: reason, counts: countStates(names), waves, gate: [], gateHistory: steps, endedAt: past(rollout.endedAt) ? rollout.endedAt : null };
}

const STATUS_BY_ACTION = /** @type {Record<string, string>} */ ({
  created: "scheduled", started: "running", waveOpened: "running", resumed: "running", approved: "running", retried: "running",
  paused: "paused", approvalAsked: "running",
  cancelled: "cancelled", completed: "completed", failed: "failed",
});

/** @param {Rollout} rollout @param {Event[]} events up to the time */
function statusAt(rollout, events) {
  const last = events.filter((event) => event.action in STATUS_BY_ACTION).at(-1);
  if (!last) return { status: "scheduled", reason: null };
  const status = STATUS_BY_ACTION[last.action] ?? rollout.status;
  if (last.action === "approvalAsked") return { status, reason: { code: "awaitingApproval", message: last.message } };
  return { status, reason: status === "running" || status === "scheduled" ? null : { code: last.action, message: last.message } };
}
