/** One device: why it is in its state, its history, and its other rollouts; now, or at a time. */
import { get } from "./api.js";
import { h, table, update } from "./dom.js";
import { iso, time } from "./format.js";

/** @typedef {import("./types.js").Device} Device */
const SECONDS = 10;

export class DeviceView {
  /** @param {string} id @param {string|null} rollout @param {string|null} at */
  constructor(id, rollout, at) {
    this.id = id;
    this.rollout = rollout;
    this.at = at;
    this.element = h("div");
  }

  title() {
    return `Device ${this.id}: Fleet Rollout`;
  }

  async refresh() {
    const name = encodeURIComponent(this.id);
    const [page, chosen] = await Promise.all([get(`devices/${name}/rollouts`), this.rollout ? get(`rollouts/${encodeURIComponent(this.rollout)}/devices/${name}`) : null]);
    /** @type {Device[]} */
    const others = page.value.filter((/** @type {Device} */ item) => this.past(item).length || !this.at);
    /** @type {Device|undefined} */
    const device = chosen ?? others[0];
    update(this.element, [device, page], () => [h("h1", {}, `Device ${this.id}`),
      this.at && h("p", { class: "history" }, `As it was at ${time(iso(Date.parse(this.at)))}, as far as its history reaches. `, h("a", { href: this.link(this.rollout, null) }, "Show it now")),
      device ? this.describe(device) : "No rollout has had this device.", this.others(others, page.quarantine)]);
    return this.at ? 3600 : SECONDS;
  }

  /** Return the entries of the history until the time of the view. @param {Device} device */
  past(device) {
    return device.history.filter((entry) => !this.at || Date.parse(entry.at) <= Date.parse(this.at));
  }

  /** @param {string|null|undefined} rollout @param {string|null} at */
  link(rollout, at) {
    return `?${new URLSearchParams(Object.entries({ rollout: rollout ?? "", device: this.id, at: at ?? "" }).filter(([, value]) => value))}`;
  }

  /** @param {Device} device */
  describe(device) {
    const history = this.past(device).reverse(), last = history[0];
    const { state, explanation, attempt } = this.at ? { state: last?.state ?? "not known", explanation: last?.message ?? "Its history does not reach back so far.", attempt: last?.attempt } : device;
    return h("div", { class: "grid" },
      h("section", {}, h("h2", {}, `Why is it ${state}?`), h("p", {}, explanation),
        h("p", {}, `${this.at ? "Today it runs" : "Runs"} ${device.runningVersion ?? "a version that it has not reported"}; ran ${device.previousVersion ?? "an unknown version"} before; is to run ${device.version}.${attempt ? ` Attempt ${attempt}.` : ""}`)),
      h("section", {}, h("h2", {}, "History, newest first"), table("History", ["Time", "State", "Attempt#", "Why"], history.map((entry) => [h("a", { href: this.link(this.rollout ?? device.rolloutId, entry.at) }, time(entry.at)), entry.state, entry.attempt, entry.message]))));
  }

  /** @param {Device[]} items @param {{message: string}|undefined} quarantine */
  others(items, quarantine) {
    const link = (/** @type {Device} */ item) => h("a", { href: `?${new URLSearchParams({ rollout: item.rolloutId ?? "", ...(this.at && { at: this.at }) })}` }, item.rolloutId ?? "");
    return h("section", {}, h("h2", {}, "Rollouts of this device"), quarantine && !this.at && h("p", { class: "bad" }, quarantine.message),
      table("Rollouts of this device", ["Rollout", "Version", "State"], items.map((item) => [link(item), item.version, this.at ? this.past(item).at(-1)?.state : item.state])));
  }
}
