/** The commands: which of them a rollout allows, and what each will do. Nothing here touches the document. */
import { number, plural, time } from "./format.js";
import { isWaitingForApproval } from "./model.js";

/** @typedef {import("./types.js").Rollout} Rollout */
/** @typedef {import("./types.js").Freeze} Freeze */
/** @typedef {{name: string, value: string, text: string, chosen: boolean}} Choice */
/**
 * @typedef {object} Command
 * @property {string} name last part of its path
 * @property {string} label
 * @property {string} action of the event that shows that it was carried out
 * @property {boolean} needsReason
 * @property {(rollout: Rollout) => boolean} isAllowed
 * @property {(rollout: Rollout) => string[]} effects sentences, with counts
 * @property {(rollout: Rollout) => Choice[]} [choices] check boxes; the body has the chosen values by their name
 * @property {(rollout: Rollout) => object} [body] further fields
 */

const OPEN = ["scheduled", "running", "paused"];

/** Say what becomes of devices that are updating. @param {number} count */
const followed = (count) => (count === 0 ? "No device is updating." : count === 1 ? "1 device that is updating goes on to its end." : `${number(count)} devices that are updating go on to their end.`);

/** Return the wave that only an approval keeps from opening. @param {Rollout} rollout */
export function waitingWave(rollout) {
  return isWaitingForApproval(rollout) ? rollout.waves.find((wave) => wave.status === "pending") : undefined;
}

/** @param {Rollout} rollout */
const frozenStrata = (rollout) => (rollout.strata ?? []).filter((item) => item.status === "frozen");

/** @type {Command[]} */
export const COMMANDS = [
  {
    name: "approve", label: "Approve", action: "approved", needsReason: true,
    isAllowed: (rollout) => waitingWave(rollout) !== undefined,
    effects: (rollout) => {
      const wave = waitingWave(rollout), { completed, failed } = rollout.counts;
      return [`Opens wave ${wave?.name}: ${plural(wave?.size ?? 0, "device")} will start.`, `Until now, ${number(completed)} completed and ${number(failed)} failed.`];
    },
  },
  {
    name: "pause", label: "Pause", action: "paused", needsReason: false,
    isAllowed: ({ status }) => status === "scheduled" || status === "running",
    effects: ({ counts }) => [`No device starts: ${plural(counts.queued, "queued device")} ${counts.queued === 1 ? "waits" : "wait"} until a resume.`, followed(counts.updating)],
  },
  {
    name: "resume", label: "Resume", action: "resumed", needsReason: true,
    isAllowed: (rollout) => rollout.status === "paused",
    effects: ({ counts, revision }) => [`Starts go on: ${plural(counts.queued, "device")} ${counts.queued === 1 ? "is" : "are"} queued.`,
      `Acknowledges what you have read, revision ${revision}, with ${plural(counts.failed, "failure")}. What came later keeps the rollout paused.`],
    body: ({ revision }) => ({ revision }),
  },
  {
    name: "resume", label: "Resume strata", action: "stratumResumed", needsReason: true,
    isAllowed: (rollout) => OPEN.includes(rollout.status) && frozenStrata(rollout).length > 0,
    effects: ({ revision }) => [`Devices of the chosen strata start again. Failures up to revision ${revision} are acknowledged.`],
    choices: (rollout) => frozenStrata(rollout).map(({ name, counts }) => ({ name: "strata", value: name, text: `${name}: ${plural(counts.queued, "device")} queued, ${number(counts.failed)} failed`, chosen: true })),
    body: ({ revision }) => ({ revision }),
  },
  {
    name: "cancel", label: "Cancel", action: "cancelled", needsReason: true,
    isAllowed: ({ status }) => OPEN.includes(status),
    effects: ({ counts }) => [`${plural(counts.queued, "queued device")} will be cancelled.`, followed(counts.updating), `${plural(counts.completed, "device")} that completed ${counts.completed === 1 ? "keeps" : "keep"} the new firmware.`],
  },
  {
    name: "retry", label: "Retry", action: "retried", needsReason: true,
    isAllowed: ({ status, counts }) => status !== "scheduled" && counts.failed + counts.skipped + counts.cancelled > 0,
    effects: ({ counts }) => ["The chosen devices start again, with all their attempts.", `${plural(counts.failed, "failure")} will be acknowledged.`],
    choices: ({ counts }) => /** @type {const} */ (["failed", "skipped", "cancelled"]).filter((state) => counts[state] > 0)
      .map((state, n) => ({ name: "states", value: state, text: plural(counts[state], `${state} device`), chosen: n === 0 })),
  },
  {
    name: "rollback", label: "Roll back", action: "rolledBack", needsReason: true,
    isAllowed: ({ status, counts }) => status !== "scheduled" && counts.completed + counts.failed + counts.updating > 0,
    effects: ({ status, counts }) => [`Creates a rollout that returns devices to their earlier firmware: ${plural(counts.completed, "completed device")}, and of ${number(counts.updating)} updating and ${number(counts.failed)} failed ones those that may run the new one.`,
      OPEN.includes(status) ? `Cancels this rollout: ${plural(counts.queued, "queued device")} will not start.` : "This rollout has ended and stays as it is."],
  },
];

/**
 * Return what has changed since a dialog was opened and makes its sentences untrue; "": nothing.
 * @param {Rollout} before @param {Rollout} now
 */
export function describeChange(before, now) {
  if (before.status !== now.status) return `The rollout is ${now.status} now.`;
  if (waitingWave(before)?.name !== waitingWave(now)?.name) return "Another wave waits for approval now.";
  const more = now.counts.failed - before.counts.failed;
  return more > 0 ? `${plural(more, "more device")} failed since you opened this.` : "";
}

/**
 * Return whether an event may be of the command that was sent, and not of another person's.
 * @param {import("./types.js").Event} event @param {import("./dialog.js").Sent} sent
 */
export const isOf = (event, { reason, by }) => (reason ? event.message.includes(reason) : !by || event.by === by);

/**
 * Say what a freeze will do, or its end.
 * @param {Freeze} freeze the latest one
 * @param {{rollouts: Rollout[], isComplete: boolean}} open rollouts that are scheduled, running or paused
 */
export function freezeEffects(freeze, { rollouts, isComplete }) {
  const queued = rollouts.reduce((sum, { counts }) => sum + counts.queued, 0), updating = rollouts.reduce((sum, { counts }) => sum + counts.updating, 0);
  const what = `${isComplete ? "" : "at least "}${plural(rollouts.length, "open rollout")} with ${plural(queued, "queued device")}`;
  if (freeze.active) return [`Starts go on within a tick, in ${what}. Rollouts that are paused or wait for an approval go on waiting.`];
  return [`No device starts in any rollout, also in rollouts that are created later: ${what}.`, followed(updating)];
}

/** @param {Freeze} freeze */
export function describeFreeze({ by, reason, until, condition }) {
  const what = condition ? `of devices that match ${condition}` : "of all devices";
  return `Starts ${what} are frozen by ${by}, ${until ? `until ${time(until)}` : "until the freeze is removed"}. Reason: ${reason}`;
}

/** Say what has changed about the freeze since it was read; "": nothing. @param {Freeze} before @param {Freeze} now */
export function describeFreezeChange(before, now) {
  if (before.revision === now.revision && before.active === now.active) return "";
  if (now.active) return `${now.by} has set a freeze: ${now.reason}.`;
  return `The freeze of ${before.by} is over${now.endedReason ? `: ${now.endedReason}` : ""}.`;
}

/**
 * Return what shows that a freeze, or its end, was carried out; "": nothing does.
 * @param {Freeze} before @param {Freeze} now @param {import("./dialog.js").Sent} sent
 */
export function describeFreezeDone(before, now, sent) {
  const isOurs = before.active ? !now.active && (!sent.by || now.endedBy === sent.by) && (!sent.reason || now.endedReason === sent.reason) : now.reason === sent.reason;
  return isOurs ? describeFreezeChange(before, now) : "";
}

/** Return the inputs of a freeze. A browser's date and time have no zone: they are taken as UTC, as all times of the page. */
export const FREEZE_INPUTS = [
  { id: "until", label: "Until, in UTC; empty: until it is removed", type: "datetime-local", read: (/** @type {string} */ value) => (value ? { until: `${value.slice(0, 16)}:00Z` } : {}) },
  { id: "condition", label: "Only devices that match this condition; empty: all devices", maxlength: 4000, read: (/** @type {string} */ value) => (value ? { condition: value } : {}) },
];
