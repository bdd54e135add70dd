/** Call the API. Keys stay in memory or, if asked, in session storage; never in a URL. */

const BASE = new URL("..", import.meta.url);
const NAMES = /** @type {const} */ (["read", "command"]);
/** @type {Record<string, string>} */
const keys = {};
for (const name of NAMES) keys[name] = sessionStorage.getItem(`fleet-rollout-${name}`) ?? "";
// A request without a response for this long means that the connection is lost.
const TIMEOUT = 9_000;

export class ApiError extends Error {
  /** @param {number} status 0: no response @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
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

/**
 * Read a path below /api, or a nextLink.
 * @param {string} path
 * @returns {Promise<any>}
 */
export const get = (path) => send("GET", path, "read");

/**
 * @param {string} path
 * @param {unknown} body
 * @param {"read"|"command"} [key]
 * @returns {Promise<any>}
 */
export const post = (path, body, key = "command") => send("POST", path, key, JSON.stringify(body));

/** @param {string} method @param {string} path @param {string} key @param {string} [body] */
async function send(method, path, key, body) {
  const headers = new Headers();
  const given = keys[key] || (key === "command" ? "" : keys["command"]);
  if (given) headers.set("x-functions-key", given);
  if (body) headers.set("Content-Type", "application/json");
  let response;
  try {
    const signal = AbortSignal.timeout(TIMEOUT);
    response = await fetch(new URL(path, BASE), { method, headers, body, signal, cache: "no-store" });
  } catch {
    throw new ApiError(0, "The service does not respond.");
  }
  const text = await response.text().catch(() => "");
  if (!response.ok) throw new ApiError(response.status, problem(response.status, text));
  return JSON.parse(text);
}

/** @param {number} status @param {string} text */
function problem(status, text) {
  if (status === 401) return "The key is missing or wrong.";
  try {
    return String(JSON.parse(text).detail);
  } catch {
    return `The service responded with status ${status}.`;
  }
}
