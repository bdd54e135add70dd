/** All rollouts, newest first; those that need a person on top. */
import { get } from "./api.js";
import { h, table, update } from "./dom.js";
import { number, percent, time } from "./format.js";
import { closestGate } from "./model.js";

/** @typedef {import("./types.js").Rollout} Rollout */
// A list reads one row for each rollout: 20 rows in 20 s.
const SECONDS = 20;
const LIMIT = 20;

export class Overview {
  constructor() {
    /** @type {Rollout[]} */ this.rollouts = [];
    this.text = /** @type {HTMLInputElement} */ (h("input", { id: "search", type: "search", onInput: () => this.show() }));
    this.status = /** @type {HTMLSelectElement} */ (h("select", { id: "status", onChange: () => this.show() }, h("option", { value: "" }, "all"), ...["scheduled", "running", "paused", "completed", "failed", "cancelled"].map((item) => h("option", {}, item))));
    this.needed = h("section", { class: "wide", "aria-label": "Needs a person" });
    this.list = h("section", { class: "wide", "aria-label": "Rollouts" });
    this.element = h("div", {}, h("h1", {}, "Rollouts"), h("div", { class: "bar" }, h("label", { for: "search" }, "Search"), this.text, h("label", { for: "status" }, "Status"), this.status), h("div", { class: "grid" }, this.needed, this.list));
  }

  async refresh() {
    const page = await get(`rollouts?limit=${LIMIT}`);
    this.rollouts = page.value;
    this.more = page.nextLink;
    this.show();
    return SECONDS;
  }

  show() {
    const text = this.text.value.toLowerCase();
    const chosen = this.rollouts.filter((item) => (!this.status.value || item.status === this.status.value) && JSON.stringify([item.id, item.firmware.version, item.createdBy.name, item.labels]).toLowerCase().includes(text));
    const waiting = chosen.filter(needsPerson);
    update(this.needed, waiting, () => [h("h2", {}, "Needs a person"), waiting.length ? h("ul", { class: "plain" }, ...waiting.map((item) => h("li", {}, link(item), ` ${item.status}: ${item.statusReason?.message ?? ""}`))) : "No rollout waits for a person."]);
    update(this.list, chosen, () => [h("h2", {}, `Rollouts: ${chosen.length} of the latest ${this.rollouts.length}`), table("Rollouts", ["Rollout", "Status", "Progress", "Failed#", "Until the gate stops", "Started by", "Created"], chosen.map(row))]);
  }
}

/** @param {Rollout} item */
const needsPerson = (item) => item.status === "paused" || ["awaitingApproval", "ambientOutage", "hubUnavailable"].includes(item.statusReason?.code ?? "");

/** @param {Rollout} item */
const link = (item) => h("a", { href: `?rollout=${encodeURIComponent(item.id)}` }, `${item.firmware.version} (${item.id.slice(-6)})`);

/** @param {Rollout} item */
function row(item) {
  const { total, completed, failed, skipped, cancelled } = item.counts, gate = closestGate(item.gate);
  const ended = completed + failed + skipped + cancelled;
  return [link(item), item.status, `${percent(total ? ended / total : 0)} of ${number(total)}`, number(failed), gate ? `${gate.failuresToBreach} more failures` : "no open wave", item.createdBy.name, time(item.createdAt)];
}
