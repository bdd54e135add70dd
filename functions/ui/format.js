/** Write numbers, times and durations as people read them. */

/** @param {number} value */
export const number = (value) => value.toLocaleString("en");

/** @param {number} count @param {string} noun */
export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** @param {number} share 0..1 */
export const percent = (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%`;

/** @param {string|null|undefined} text */
export const time = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 19)} UTC` : "not yet");

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
  return plural(Math.round(whole / 86_400), "day");
}

/** Return the seconds of an ISO 8601 duration. @param {string} text */
export function seconds(text) {
  const found = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(text) ?? [];
  const [weeks, days, hours, minutes, rest] = found.slice(1).map((part) => Number(part ?? 0));
  return ((((weeks ?? 0) * 7 + (days ?? 0)) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (rest ?? 0);
}
