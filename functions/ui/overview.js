/** All rollouts, newest first, those that need a person on top, and the freeze of all starts. */
import { GrowingList, get, nextPath, serverNow } from "./api.js";
import { FREEZE_INPUTS, describeFreeze, describeFreezeChange, describeFreezeDone, freezeEffects } from "./commands.js";
import { openDialog } from "./dialog.js";
import { h, table, update } from "./dom.js";
import { duration, iso, number, percent, plural, time } from "./format.js";
import { averageEnd, closestGate, describeNeed, statusAt } from "./model.js";

/** @typedef {import("./types.js").Rollout} Rollout */
/** @typedef {import("./types.js").Freeze} Freeze */
// A list reads one row for each rollout.
const SECONDS = 20;
const LIMIT = 20, MAX_LIMIT = 100;
const STATUSES = ["scheduled", "running", "paused", "completed", "failed", "cancelled"];
// A look back reads at most so many pages of rollouts that are newer.
const MAX_PAGES = 20;

export class Overview {
  /** @param {string|null} at @param {URLSearchParams} query */
  constructor(at, query) {
    this.at = at;
    /** @type {Rollout[]} */ this.rollouts = [];
    /** @type {Rollout[]} */ this.open = [];
    /** @type {Freeze|null} */ this.freeze = null;
    this.isComplete = true;
    this.reads = 0;
    this.text = /** @type {HTMLInputElement} */ (h("input", { id: "search", type: "search", value: query.get("search") ?? "", onInput: () => this.change() }));
    this.status = /** @type {HTMLSelectElement} */ (h("select", { id: "status", onChange: () => this.change() }, h("option", { value: "" }, "all"), ...STATUSES.map((item) => h("option", { selected: item === query.get("status") }, item))));
    this.freezePart = h("div", { role: "group", "aria-label": "Freeze" });
    this.needed = h("section", { class: "wide", "aria-label": "Needs a person" });
    this.list = h("section", { class: "wide", "aria-label": "Rollouts" });
    this.element = h("div", {}, h("h1", {}, "Rollouts"), this.freezePart, h("div", { class: "bar" }, h("label", { for: "search" }, "Search"), this.text, h("label", { for: "status" }, "Status"), this.status), h("div", { class: "grid" }, this.needed, this.list));
  }

  title() {
    const count = this.open.filter(describeNeed).length;
    return `${this.freeze?.active ? "Frozen: " : ""}${count ? `${number(count)} waiting, ` : ""}Fleet Rollout`;
  }

  /** Keep the filter in the view's link, and read what it now needs. */
  change() {
    const query = new URLSearchParams(Object.entries({ at: this.at ?? "", status: this.status.value, search: this.text.value }).filter(([, value]) => value));
    history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
    this.show();
    clearTimeout(this.timer);
    if (this.at) return;
    this.timer = setTimeout(() => this.refresh().catch(() => 0), 300);
  }

  async refresh() {
    if (this.at) return this.readPast(this.at);
    const mine = (this.reads += 1), { value: status } = this.status, limit = this.text.value ? MAX_LIMIT : LIMIT;
    const [freeze, page, ...open] = await Promise.all([get("freeze"), get(`rollouts?limit=${limit}${status && `&status=${status}`}`), ...STATUSES.slice(0, 3).map((item) => get(`rollouts?limit=${LIMIT}&status=${item}`))]);
    // The filter was changed meanwhile.
    if (mine !== this.reads) return SECONDS;
    this.freeze = freeze;
    this.rollouts = page.value;
    this.isComplete = open.every((item) => !item.nextLink);
    this.open = open.flatMap((item) => item.value);
    this.show();
    return SECONDS;
  }

  /** Read the rollouts that were there, and their status then by their events. @param {string} at */
  async readPast(at) {
    /** @type {Rollout[]} */
    let found = [];
    let path = `rollouts?limit=${MAX_LIMIT}`;
    for (let n = 0; n < MAX_PAGES && path && found.length < LIMIT; n++) {
      const page = await get(path);
      found = [...found, ...page.value.filter((/** @type {Rollout} */ item) => Date.parse(item.createdAt) <= Date.parse(at))];
      path = nextPath(path, page.nextLink);
    }
    this.rollouts = await Promise.all(found.slice(0, LIMIT).map(async (item) => ({ ...item, ...statusAt(item, await new GrowingList(`rollouts/${encodeURIComponent(item.id)}/events?limit=100`).read(), at) })));
    this.open = this.rollouts;
    this.show();
    return 3600;
  }

  show() {
    const text = this.text.value.toLowerCase(), { at, freeze } = this;
    const fits = (/** @type {Rollout} */ item) => JSON.stringify([item.id, item.firmware.version, item.createdBy.name, item.labels]).toLowerCase().includes(text);
    const chosen = this.rollouts.filter((item) => (!this.status.value || item.status === this.status.value) && fits(item));
    const waiting = this.open.filter((item) => describeNeed(item) && fits(item));
    update(this.freezePart, [freeze, at], () => [
      at && h("p", { class: "history" }, `As it was at ${time(iso(Date.parse(at)))}: the latest ${LIMIT} rollouts then, with their status by their events. `, h("a", { href: "?" }, "Show it now")),
      !at && freeze?.active && h("p", { class: "history" }, `❄ ${describeFreeze(freeze)}`),
      !at && freeze && h("button", { type: "button", id: "command-freeze", onClick: () => this.confirm() }, freeze.active ? "Remove the freeze" : "Freeze all starts")]);
    update(this.needed, waiting, () => [h("h2", {}, "Needs a person"), waiting.length ? h("ul", { class: "plain" }, ...waiting.map((item) => h("li", {}, link(item, at), " ", describeNeed(item)))) : "No rollout waits for a person."]);
    update(this.list, [chosen, this.rollouts.length, Math.floor(serverNow() / 60_000)], () => [h("h2", {}, `Rollouts: ${chosen.length} of the latest ${this.rollouts.length}`),
      at ? table("Rollouts", ["Rollout", "Status then", "Why", "Started by", "Created"], chosen.map((item) => [link(item, at), item.status, item.statusReason?.message, item.createdBy.name, time(item.createdAt)]))
        : table("Rollouts", ["Rollout", "Status", "Progress", "Failed#", "Until the gate stops", "Done in about", "Started by", "Created"], chosen.map(row))]);
  }

  /** Ask for a freeze, or for its end. */
  confirm() {
    const before = this.freeze;
    if (!before) return;
    const isEnd = before.active;
    openDialog({
      title: isEnd ? "Remove the freeze?" : "Freeze starts in all rollouts?", button: isEnd ? "Remove" : "Freeze", needsReason: !isEnd,
      effects: [...(isEnd ? [describeFreeze(before)] : []), ...freezeEffects(before, { rollouts: this.open, isComplete: this.isComplete })],
      asOf: `As of ${time(iso(serverNow()))}.`, choices: [], inputs: isEnd ? [] : FREEZE_INPUTS,
      method: isEnd ? "DELETE" : "PUT", path: "freeze", body: () => (isEnd ? {} : { revision: before.revision }),
      changed: () => (this.freeze ? describeFreezeChange(before, this.freeze) : ""),
      look: async (sent) => describeFreezeDone(before, await get("freeze"), sent),
      done: (found) => {
        this.freeze = found;
        this.show();
        return [found.active ? "Done: starts are frozen in all rollouts." : "Done: rollouts go on with the next tick."];
      },
    });
  }
}

/** @param {Rollout} item @param {string|null} at */
const link = (item, at) => h("a", { href: `?rollout=${encodeURIComponent(item.id)}${at ? `&at=${encodeURIComponent(at)}` : ""}` }, `${item.firmware.version} (${item.id.slice(-6)})`);

/** @param {Rollout} item */
function row(item) {
  const { total, completed, failed, skipped, cancelled } = item.counts, gate = closestGate(item.gate), end = averageEnd(item, serverNow());
  const share = total ? (completed + failed + skipped + cancelled) / total : 0, text = `${percent(share)} of ${number(total)}`;
  return [link(item, null), item.status, h("span", {}, h("progress", { value: share, "aria-label": "ended devices" }), ` ${text}`), number(failed), gate ? (gate.failuresToBreach ? plural(gate.failuresToBreach, "more failure") : "breached") : "no open wave",
    item.endedAt ? "done" : end === null ? "not known" : duration(end), item.createdBy.name, time(item.createdAt)];
}
