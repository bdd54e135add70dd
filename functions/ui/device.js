/** One device: why it is in its state, its history, and its other rollouts. */
import { get } from "./api.js";
import { h, table, update } from "./dom.js";
import { time } from "./format.js";

/** @typedef {import("./types.js").Device} Device */
const SECONDS = 10;

export class DeviceView {
  /** @param {string} id @param {string|null} rollout */
  constructor(id, rollout) {
    this.id = id;
    this.rollout = rollout;
    this.element = h("div");
  }

  async refresh() {
    const name = encodeURIComponent(this.id);
    const [page, chosen] = await Promise.all([get(`devices/${name}/rollouts`), this.rollout ? get(`rollouts/${encodeURIComponent(this.rollout)}/devices/${name}`) : null]);
    /** @type {Device|undefined} */
    const device = chosen ?? page.value[0];
    update(this.element, [device, page], () => [h("h1", {}, `Device ${this.id}`), device ? this.describe(device) : "No rollout has had this device.", this.others(page)]);
    return SECONDS;
  }

  /** @param {Device} device */
  describe(device) {
    return h("div", { class: "grid" },
      h("section", {}, h("h2", {}, `Why is it ${device.state}?`), h("p", {}, device.explanation),
        h("p", {}, `Runs ${device.runningVersion ?? "a version that it has not reported"}; ran ${device.previousVersion ?? "an unknown version"} before; is to run ${device.version}. Attempt ${device.attempt}.`)),
      h("section", {}, h("h2", {}, "History, newest first"), table("History", ["Time", "State", "Attempt#", "Why"], [...device.history].reverse().map((entry) => [time(entry.at), entry.state, entry.attempt, entry.message]))));
  }

  /** @param {{value: Device[], quarantine?: {message: string}}} page */
  others(page) {
    return h("section", {}, h("h2", {}, "Rollouts of this device"), page.quarantine && h("p", { class: "bad" }, page.quarantine.message),
      table("Rollouts of this device", ["Rollout", "Version", "State"], page.value.map((item) => [h("a", { href: `?rollout=${encodeURIComponent(item.rolloutId ?? "")}` }, item.rolloutId ?? ""), item.version, item.state])));
  }
}
