/** Call the API. Keys stay in memory or, if asked, in session storage; never in a URL. */

const BASE = new URL("..", import.meta.url);
const NAMES = /** @type {const} */ (["read", "command"]);
/** @type {Record<string, string>} */
const keys = {};
for (const name of NAMES) keys[name] = sessionStorage.getItem(`fleet-rollout-${name}`) ?? "";
// A request without a response for this long means that the connection is lost.
const TIMEOUT = 9_000;
// A command may read many devices first. The page goes on to show what it reads meanwhile.
const COMMAND_TIMEOUT = 60_000;

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
 * Send a command, once: one whose response is lost may have been carried out.
 * @param {"POST"|"PUT"|"DELETE"} method
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
export const command = (method, path, body) => send(method, path, "command", JSON.stringify(body));

/** @param {string} method @param {string} path @param {"read"|"command"} key @param {string} [body] */
async function send(method, path, key, body) {
  const headers = new Headers(), given = keys[key];
  if (given) headers.set("x-functions-key", given);
  if (body) headers.set("Content-Type", "application/json");
  let response;
  try {
    const signal = AbortSignal.timeout(key === "read" ? TIMEOUT : COMMAND_TIMEOUT);
    response = await fetch(new URL(path, BASE), { method, headers, body, signal, cache: "no-store" });
  } catch {
    throw new ApiError(0, "The service does not respond.");
  }
  try {
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    throw new ApiError(response.status, problem(response.status, text));
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(0, "The response was cut off.");
  }
}

/** @param {number} status @param {string} text */
function problem(status, text) {
  if (status === 401) return "The key is missing or wrong.";
  try {
    const { detail, errors = [] } = JSON.parse(text);
    return [detail, ...errors.map((/** @type {{pointer: string, detail: string}} */ item) => `${item.pointer.slice(1)}: ${item.detail}`)].join(" ");
  } catch {
    return `The service responded with status ${status}.`;
  }
}
