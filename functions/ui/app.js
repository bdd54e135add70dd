/** The frame of the page: which view, its data, and how fresh both are. */
import { ApiError, setKey } from "./api.js";
import { h, update } from "./dom.js";
import { duration } from "./format.js";
import { DeviceView } from "./device.js";
import { Overview } from "./overview.js";
import { RolloutView } from "./rollout.js";

/**
 * @typedef {{element: HTMLElement, refresh: () => Promise<number>}} View `refresh` returns the seconds until the next one
 */

// The page is stale if no response arrived for this long, or no tick began for this long.
const STALE_SECONDS = 10;
const TICK_SECONDS = 10;

/** What the views report about how fresh their data is. */
export const freshness = {
  /** When the last response arrived, in ms. */
  respondedAt: Date.now(),
  /** @type {number|null} seconds since the last tick began, as of `respondedAt`; null: it does not matter */
  tickAge: null,
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
      freshness.respondedAt = Date.now();
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
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
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
  const tick = freshness.tickAge === null ? null : freshness.tickAge + silent;
  /** @type {string[]} */
  const problems = [];
  if (silent > STALE_SECONDS) problems.push(`No response for ${duration(silent)}.`);
  if (!freshness.past && tick !== null && tick > TICK_SECONDS + STALE_SECONDS) problems.push(`No device was observed for ${duration(tick)}: the timer does not run.`);
  const stale = /** @type {HTMLElement} */ (document.getElementById("stale"));
  document.documentElement.classList.toggle("stale", problems.length > 0);
  stale.hidden = problems.length === 0;
  update(stale, problems, () => [problems.length ? `Stale: what you see may no longer be true. ${problems.join(" ")}` : ""]);
  const line = /** @type {HTMLElement} */ (document.getElementById("freshness"));
  const text = `Connected ${duration(silent)} ago${tick === null ? "" : `, devices observed ${duration(tick)} ago`}`;
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
