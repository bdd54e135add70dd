/** The frame of the page: which view, its data, and how fresh both are. */
import { ApiError, get, setKey } from "./api.js";
import { closeDialog } from "./dialog.js";
import { h, update } from "./dom.js";
import { duration } from "./format.js";
import { DeviceView } from "./device.js";
import { Overview } from "./overview.js";
import { RolloutView } from "./rollout.js";

/**
 * @typedef {{element: HTMLElement, refresh: () => Promise<number>, title: () => string}} View `refresh` returns the seconds until the next one
 */

// The page is stale this long after the last response, or after a tick that was due did not begin.
const STALE_SECONDS = 10;
// Between two responses with data that are further apart, the connection is checked.
const CHECK_SECONDS = 4;

// With an unchanged clock and without sleep, both advance alike. The one that has advanced more is right.
const clock = () => ({ wall: Date.now(), steady: performance.now() });
/** @param {ReturnType<typeof clock>} since @returns {number} seconds */
const secondsSince = (since) => Math.max(Date.now() - since.wall, performance.now() - since.steady, 0) / 1000;

/** What the views report about how fresh their data is. */
export const freshness = {
  /** When the last response arrived; until the first one, when the page was opened. */
  respondedAt: clock(),
  /** When the last response with data arrived. */
  readAt: clock(),
  /** Whether the view shows data. */
  hasData: false,
  /** Whether the view will not be read again: there is nothing to be fresh. */
  isOver: false,
  /** @type {number|null} seconds since the last tick began, as of `readAt`; null: it does not matter */
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
let wake = () => {};

/** @param {string} link a query such as ?rollout=... */
export function go(link) {
  history.pushState(null, "", link || location.pathname);
  show();
}

function show() {
  const query = new URLSearchParams(location.search), rollout = query.get("rollout"), device = query.get("device");
  // In a query, + means a space; in a time it is part of the zone.
  const at = query.get("at")?.trim().replace(/ (?=\d\d:?\d\d$)/, "+") || null;
  Object.assign(freshness, { past: at !== null, tickAge: null, error: "", hasData: false, isOver: false, respondedAt: clock(), readAt: clock() });
  closeDialog();
  /** @type {View} */
  const view = device ? new DeviceView(device, rollout, at) : rollout ? new RolloutView(rollout, at) : new Overview(at, query);
  run += 1;
  wake();
  document.title = "Fleet Rollout";
  main.replaceChildren(view.element);
  main.focus({ preventScroll: true });
  // Without a zone, a browser would take its own.
  if (at && (Number.isNaN(Date.parse(at)) || !/T.*(Z|[+-]\d\d:?\d\d)$/i.test(at))) return showEnd(`The time ${at} of this link must be an ISO 8601 time with a time zone, such as 2026-12-01T02:00:00Z.`);
  void follow(view, run);
}

/** @param {View} view @param {number} mine */
async function follow(view, mine) {
  while (mine === run) {
    let pause = 2;
    try {
      pause = await view.refresh();
      if (mine !== run) return;
      Object.assign(freshness, { respondedAt: clock(), readAt: clock(), error: "", hasData: true });
      document.title = view.title();
      refusedKey = false;
    } catch (error) {
      if (mine !== run) return;
      if (!(error instanceof ApiError)) {
        console.error(error);
        freshness.error = `This page has a fault (${error}). Load it again.`;
      } else if (error.status === 401) {
        return askForKey();
      } else {
        freshness.error = error.message;
        if (error.isFromApp) freshness.respondedAt = clock();
        pause = Math.max(pause, Math.min(60, error.retryAfter));
        // While it starts or is being deployed, the host in front of the app responds 404, too.
        if (error.isFromApp && [404, 422].includes(error.status)) return showEnd(error.message);
      }
    }
    showFreshness();
    await sleep(pause, mine);
  }
}

/** Wait; check the connection meanwhile. @param {number} pause seconds @param {number} mine */
async function sleep(pause, mine) {
  for (let left = pause; left > 0 && mine === run; left -= CHECK_SECONDS) {
    const isWoken = await new Promise((resolve) => {
      wake = () => resolve(true);
      setTimeout(resolve, Math.min(left, CHECK_SECONDS) * 1000, false);
    });
    if (isWoken || left <= CHECK_SECONDS || mine !== run) return;
    const silent = secondsSince(freshness.respondedAt);
    const isThere = await get("health").then(() => true, (error) => error.isFromApp);
    if (isThere) freshness.respondedAt = clock();
    // Read at once when the connection is back.
    if (isThere && silent > STALE_SECONDS) return;
  }
}

/** Say why the view ends here, such as that its rollout was removed. @param {string} message */
function showEnd(message) {
  closeDialog();
  freshness.isOver = true;
  main.replaceChildren(h("p", { role: "alert" }, message), h("p", {}, h("a", { href: "?" }, "All rollouts")));
  showFreshness();
}

function askForKey() {
  closeDialog();
  setKey("read", "", false);
  freshness.isOver = true;
  showFreshness();
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
  const silent = secondsSince(freshness.respondedAt), read = secondsSince(freshness.readAt);
  const tick = freshness.tickAge === null ? null : freshness.tickAge + read;
  /** @type {string[]} */
  const problems = [];
  if (!navigator.onLine) problems.push("This computer is offline.");
  if (silent > STALE_SECONDS) problems.push(`No response for ${duration(silent)}.`);
  else if (freshness.error && read > STALE_SECONDS) problems.push(`No data for ${duration(read)}: ${freshness.error}`);
  if (tick !== null && freshness.tickSeconds !== null && tick > freshness.tickSeconds + STALE_SECONDS) problems.push(`No device was observed for ${duration(tick)}: the timer does not run.`);
  if (freshness.isOver) problems.length = 0;
  const stale = /** @type {HTMLElement} */ (document.getElementById("stale"));
  const { classList } = document.documentElement;
  classList.toggle("stale", problems.length > 0);
  classList.toggle("history-view", freshness.past);
  classList.toggle("connecting", !freshness.hasData || freshness.isOver);
  stale.hidden = problems.length === 0;
  update(stale, problems, () => [problems.length ? `Stale: what you see may no longer be true. ${problems.join(" ")}` : ""]);
  const line = /** @type {HTMLElement} */ (document.getElementById("freshness"));
  const ages = `Connected ${duration(silent)} ago${freshness.past ? "" : `, read ${duration(read)} ago`}${tick === null ? "" : `, devices observed ${duration(tick)} ago`}`;
  const text = freshness.isOver ? "" : freshness.hasData ? ages : `Connecting for ${duration(read)}`;
  update(line, text, () => [text]);
}

setInterval(showFreshness, 1000);
addEventListener("popstate", show);
// Timers stand still while a computer sleeps or a tab is hidden: read at once afterwards.
for (const name of ["online", "pageshow"]) addEventListener(name, () => wake());
document.addEventListener("visibilitychange", () => document.hidden || wake());
addEventListener("offline", showFreshness);
document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest?.("a[href^='?']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href") === "?" ? "" : String(link.getAttribute("href")));
});
show();
