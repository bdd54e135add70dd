/** The frame of the page: which view, its data, and how fresh both are. */
import { ApiError, get, setKey } from "./api.js";
import { h, update } from "./dom.js";
import { duration } from "./format.js";
import { DeviceView } from "./device.js";
import { Overview } from "./overview.js";
import { RolloutView } from "./rollout.js";

/**
 * @typedef {{element: HTMLElement, refresh: () => Promise<number>}} View `refresh` returns the seconds until the next one
 */

// The page is stale this long after the last response, or after a tick that was due did not begin.
const STALE_SECONDS = 10;
// Between two responses with data that are further apart, the connection is checked.
const CHECK_SECONDS = 4;

/** What the views report about how fresh their data is. */
export const freshness = {
  /** When the last response arrived, in ms. */
  respondedAt: Date.now(),
  /** When the last response with data arrived, in ms. */
  readAt: Date.now(),
  /** @type {number|null} seconds since the last tick began, as of `respondedAt`; null: it does not matter */
  tickAge: null,
  /** @type {number|null} seconds between two ticks; null: they are irregular */
  tickSeconds: null,
  /** Whether the view shows an earlier time. */
  past: false,
  error: "",
};

const main = /** @type {HTMLElement} */ (document.getElementById("view"));
let run = 0;
let refusedKey = false;

/** @param {string} link a query such as ?rollout=... */
export function go(link) {
  history.pushState(null, "", link || location.pathname);
  show();
}

function show() {
  const query = new URLSearchParams(location.search);
  const rollout = query.get("rollout"), device = query.get("device");
  freshness.past = query.has("at");
  freshness.tickAge = null;
  freshness.error = "";
  /** @type {View} */
  const view = device ? new DeviceView(device, rollout) : rollout ? new RolloutView(rollout, query.get("at")) : new Overview();
  run += 1;
  main.replaceChildren(view.element);
  main.focus({ preventScroll: true });
  void follow(view, run);
}

/** @param {View} view @param {number} mine */
async function follow(view, mine) {
  while (mine === run) {
    let pause = 2;
    try {
      pause = await view.refresh();
      freshness.readAt = freshness.respondedAt = Date.now();
      freshness.error = "";
      refusedKey = false;
    } catch (error) {
      if (mine !== run) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) return askForKey();
      freshness.error = error.message;
      if (error.status === 404 || error.status === 422) {
        main.replaceChildren(h("p", { role: "alert" }, error.message));
        return;
      }
    }
    showFreshness();
    await sleep(pause, mine);
  }
}

/** Wait; check the connection meanwhile. @param {number} pause seconds @param {number} mine */
async function sleep(pause, mine) {
  for (let left = pause; left > 0 && mine === run; left -= CHECK_SECONDS) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, CHECK_SECONDS) * 1000));
    if (left <= CHECK_SECONDS || mine !== run) return;
    const before = freshness.respondedAt;
    await get("health").then(() => (freshness.respondedAt = Date.now()), () => 0);
    // Read at once when the connection is back.
    if (freshness.respondedAt - before > STALE_SECONDS * 1000) return;
  }
}

function askForKey() {
  const key = /** @type {HTMLInputElement} */ (h("input", { id: "key", type: "password", autocomplete: "off", required: true }));
  const keep = /** @type {HTMLInputElement} */ (h("input", { id: "keep", type: "checkbox" }));
  const given = (/** @type {globalThis.Event} */ event) => {
    event.preventDefault();
    setKey("read", key.value, keep.checked);
    show();
  };
  const message = refusedKey ? "That key is wrong." : "";
  refusedKey = true;
  main.replaceChildren(h("form", { onSubmit: given },
    h("h1", {}, "A key is needed"),
    h("p", {}, "The key for reading is enough to look. Commands ask for their own key."),
    message && h("p", { role: "alert", class: "bad" }, message),
    h("label", { for: "key" }, "Function key"), key,
    h("p", {}, keep, " ", h("label", { for: "keep" }, "Keep it until this tab is closed")),
    h("button", { class: "main" }, "Open")));
  key.focus();
}

function showFreshness() {
  const silent = (Date.now() - freshness.respondedAt) / 1000;
  const read = (Date.now() - freshness.readAt) / 1000;
  const tick = freshness.tickAge === null ? null : freshness.tickAge + read;
  /** @type {string[]} */
  const problems = [];
  if (silent > STALE_SECONDS) problems.push(`No response for ${duration(silent)}.`);
  else if (freshness.error && read > STALE_SECONDS) problems.push(`No data for ${duration(read)}: ${freshness.error}`);
  if (tick !== null && freshness.tickSeconds !== null && tick > freshness.tickSeconds + STALE_SECONDS) problems.push(`No device was observed for ${duration(tick)}: the timer does not run.`);
  const stale = /** @type {HTMLElement} */ (document.getElementById("stale"));
  document.documentElement.classList.toggle("stale", problems.length > 0);
  stale.hidden = problems.length === 0;
  update(stale, problems, () => [problems.length ? `Stale: what you see may no longer be true. ${problems.join(" ")}` : ""]);
  document.documentElement.classList.toggle("history-view", freshness.past);
  const line = /** @type {HTMLElement} */ (document.getElementById("freshness"));
  const text = `Connected ${duration(silent)} ago${freshness.past ? "" : `, read ${duration(read)} ago`}${tick === null ? "" : `, devices observed ${duration(tick)} ago`}`;
  update(line, text, () => [text]);
}

setInterval(showFreshness, 1000);
addEventListener("popstate", show);
document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest?.("a[href^='?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href") === "?" ? "" : String(link.getAttribute("href")));
});
show();
