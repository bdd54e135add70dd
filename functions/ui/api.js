/** Call the API. Keys stay in memory or, if asked, in session storage; never in a URL. */

const BASE = new URL("..", import.meta.url);
const NAMES = /** @type {const} */ (["read", "command"]);
/** @type {Record<string, string>} */
const keys = {};
for (const name of NAMES) keys[name] = sessionStorage.getItem(`fleet-rollout-${name}`) ?? "";
// A request without a response for this long means that the connection is lost.
const TIMEOUT = 9_000;
// The states of a million devices take long to read for the first time.
const LONG_TIMEOUT = 60_000;
// A command may read many devices first. The page goes on to show what it reads meanwhile.
const COMMAND_TIMEOUT = 60_000;
let ahead = 0;

export class ApiError extends Error {
  /** @param {number} status 0: no response @param {string} message @param {boolean} isFromApp not from the host or a gateway in front of the app @param {number} retryAfter seconds */
  constructor(status, message, isFromApp = false, retryAfter = 0) {
    super(message);
    this.status = status;
    this.isFromApp = isFromApp;
    this.retryAfter = retryAfter;
  }
}

/** @param {"read"|"command"} name @param {string} key @param {boolean} keep in session storage */
export function setKey(name, key, keep) {
  keys[name] = key;
  if (keep && key) sessionStorage.setItem(`fleet-rollout-${name}`, key);
  else sessionStorage.removeItem(`fleet-rollout-${name}`);
}

/** @param {"read"|"command"} name */
export const hasKey = (name) => Boolean(keys[name]);

/** Return the time of the service, in ms: the clock of this computer may be wrong. */
export const serverNow = () => Date.now() + ahead;

/**
 * Read a path below /api.
 * @param {string} path
 * @param {{isLong?: boolean}} [options]
 * @returns {Promise<any>}
 */
export const get = (path, { isLong = false } = {}) => send("GET", path, "read", isLong ? LONG_TIMEOUT : TIMEOUT);

/**
 * Send a command, once: one whose response is lost may have been carried out.
 * @param {"POST"|"PUT"|"DELETE"} method
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
export const command = (method, path, body) => send(method, path, "command", COMMAND_TIMEOUT, JSON.stringify(body));

/**
 * Return the path of the next page of a list; "": there is none. Only the query of a link is used:
 * it may name another origin, behind a proxy or with ROLLOUT_PUBLIC_URL, which the page must not call.
 * @param {string} path of this page @param {string} [link] its `nextLink`
 */
export const nextPath = (path, link) => (link ? path.split("?")[0] + new URL(link, BASE).search : "");

/** Reads a list that only grows at its end, each page once but the last. */
export class GrowingList {
  /** @param {string} path */
  constructor(path) {
    this.last = path;
    /** @type {any[]} of the pages before the last one */
    this.before = [];
  }

  /** @returns {Promise<any[]>} */
  async read() {
    let { last, before } = this;
    for (;;) {
      const page = await get(last), all = [...before, ...page.value];
      const next = nextPath(last, page.nextLink);
      if (!next) {
        Object.assign(this, { last, before });
        return all;
      }
      before = all;
      last = next;
    }
  }
}

/** @param {string} method @param {string} path @param {"read"|"command"} key @param {number} timeout ms @param {string} [body] */
async function send(method, path, key, timeout, body) {
  // A URL cannot have such a part, not even percent-encoded: browsers shorten it.
  if (/(^|\/)\.\.?([/?]|$)/.test(path)) throw new ApiError(422, 'No URL can name a device whose id is "." or "..".', true);
  const headers = new Headers(), given = keys[key];
  if (given) headers.set("x-functions-key", given);
  if (body) headers.set("Content-Type", "application/json");
  let response;
  try {
    const signal = AbortSignal.timeout(timeout);
    response = await fetch(new URL(path, BASE), { method, headers, body, signal, cache: "no-store", redirect: "manual" });
  } catch {
    throw new ApiError(0, "The service does not respond.");
  }
  if (response.type === "opaqueredirect") throw new ApiError(0, "You are signed out: load this page again to sign in.");
  const at = Date.parse(response.headers.get("Date") ?? "");
  if (at) ahead = at - Date.now();
  let text;
  try {
    text = await response.text();
    if (response.ok) return JSON.parse(text);
  } catch {
    throw new ApiError(0, "The response was cut off.");
  }
  const { message, isFromApp } = problem(response.status, text);
  throw new ApiError(response.status, message, isFromApp, Number(response.headers.get("Retry-After")) || 0);
}

/** @param {number} status @param {string} text @returns {{message: string, isFromApp: boolean}} */
function problem(status, text) {
  if (status === 401) return { message: "The key is missing or wrong.", isFromApp: false };
  const message = `The service responded with status ${status}.`;
  try {
    const { detail = message, errors = [] } = JSON.parse(text);
    return { message: [detail, ...errors.map((/** @type {{pointer: string, detail: string}} */ item) => `${item.pointer.slice(1)}: ${item.detail}`)].join(" "), isFromApp: true };
  } catch {
    return { message, isFromApp: false };
  }
}
