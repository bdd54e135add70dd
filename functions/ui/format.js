/** Write numbers, times and durations as people read them. */

// Made once: it is slow to make, and each update writes many numbers.
const NUMBERS = new Intl.NumberFormat("en");

/** @param {number} value */
export const number = (value) => NUMBERS.format(value);

/** @param {number} count @param {string} noun */
export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** Write a share. Neither "none" nor "all" is said of what is only close to it. @param {number} share 0..1 */
export function percent(share) {
  if (share > 0 && share < 0.001) return "under 0.1%";
  if (share > 0.995 && share < 1) return `${Math.floor(share * 1000) / 10}%`;
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%`;
}

/** @param {string|null|undefined} text */
export const time = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 19)} UTC` : "not yet");

/** @param {number} at ms, of the service @returns {string} */
export const iso = (at) => new Date(at).toISOString();

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds)), minutes = Math.round(whole / 60);
  if (whole < 60) return `${whole} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return plural(Math.round(minutes / 1440), "day");
}

/** Shorten a text to at most 80 characters. @param {string} text */
export const short = (text) => (text.length > 80 ? `${text.slice(0, 79)}…` : text);

// Characters that change the direction of what follows, also outside of the text that has them.
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Make characters visible that change the direction of writing. @param {string} text */
export const visible = (text) => text.replace(DIRECTION, "\ufffd");

/** Return the seconds of an ISO 8601 duration. @param {string} text */
export function seconds(text) {
  const found = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(text) ?? [];
  const [weeks, days, hours, minutes, rest] = found.slice(1).map((part) => Number(part ?? 0));
  return ((((weeks ?? 0) * 7 + (days ?? 0)) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (rest ?? 0);
}
