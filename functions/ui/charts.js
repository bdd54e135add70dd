/** Charts in SVG: the gate race, and the plan against reality. */
import { s } from "./dom.js";
import { duration, iso, number, plural, seconds, time } from "./format.js";
import { forecastEnd } from "./model.js";

// As wide as the charts are shown, so that their text has its size.
const WIDTH = 640, RACE_WIDTH = 400, LEFT = 46, BOTTOM = 24, TOP = 14;

/**
 * Draw how a ratio has moved, each failure as a step, against its stop line.
 * @param {ReturnType<typeof import("./model.js").splitFailures>} steps @param {number} ratio now
 * @param {number|null} threshold the stop line; null: not known
 * @param {string} name @param {number} from @param {number} to in ms
 */
export function gateRace(steps, ratio, threshold, name, from, to) {
  const height = 180, highest = Math.max(threshold ?? 0, ...steps.map((step) => step.ratio), 1) * 1.15;
  const lowest = Math.min(0, ratio, ...steps.map((step) => step.ratio)) * 1.1;
  const x = (/** @type {number} */ at) => LEFT + ((at - from) / Math.max(1, to - from)) * (RACE_WIDTH - LEFT - 20);
  const y = (/** @type {number} */ value) => TOP + ((highest - value) / (highest - lowest)) * (height - TOP - BOTTOM);
  const failures = steps.filter((step) => step.failure !== null);
  const marks = failures.flatMap((step) => {
    const point = { cx: x(step.at), cy: y(step.ratio) }, value = step.isGuess ? "one of several in a tick" : `ratio ${step.ratio}`;
    return [s("circle", { class: "step", ...point, r: 4 }, s("title", {}, `failure ${step.failure}: ${value} at ${time(iso(step.at))}`)),
      failures.length <= 20 && s("text", { x: point.cx + 6, y: point.cy + 4 }, `${step.failure}`)];
  });
  const path = steps.map((step) => `H${x(step.at)}V${y(step.ratio)}`).join("");
  const stop = threshold === null ? "" : `, stop line at ${threshold}`;
  return s("svg", { viewBox: `0 0 ${RACE_WIDTH} ${height}`, role: "img", "aria-label": `${name}: ratio ${ratio} after ${plural(failures.length, "failure")}${stop}` },
    s("line", { class: "axis", x1: LEFT, x2: RACE_WIDTH - 20, y1: y(0), y2: y(0) }), s("text", { x: 4, y: y(0) + 4 }, "0"),
    threshold !== null && s("line", { class: "stop", x1: LEFT, x2: RACE_WIDTH - 20, y1: y(threshold), y2: y(threshold) }),
    threshold !== null && s("text", { x: LEFT, y: y(threshold) - 4 }, `stop line ${threshold.toFixed(2)}`),
    s("path", { class: "race", d: `M${x(from)} ${y(0)}${path}H${x(to)}V${y(ratio)}` }), ...marks,
    s("text", { x: LEFT, y: height - 6 }, time(iso(from)).slice(11, 19)),
    s("text", { x: RACE_WIDTH - 20, y: height - 6, "text-anchor": "end" }, time(iso(to)).slice(11, 19)));
}

// Bands that are named in the chart; a table has all.
const NAMED = 5;

/**
 * Draw ended devices over time beside the plan, and name where it is flat.
 * @param {import("./types.js").Rollout} rollout @param {import("./types.js").States} states @param {import("./model.js").Halt[]} bands
 */
export function planChart(rollout, states, bands) {
  const height = 220, { curve, forecast } = states;
  if (!rollout.startedAt || !curve || !forecast) return null;
  const start = Date.parse(rollout.startedAt), now = Math.min(Date.parse(states.at), rollout.endedAt ? Date.parse(rollout.endedAt) : Infinity);
  const planned = plannedCurve(rollout, forecast), end = forecastEnd(rollout, states), elapsed = (now - start) / 1000;
  const span = Math.max(elapsed, planned.at(-1)?.[0] ?? 1, end ? elapsed + Math.min(end.high, end.middle * 3) : 1);
  const x = (/** @type {number} */ at) => LEFT + (Math.min(span, Math.max(0, at)) / span) * (WIDTH - LEFT - 20);
  const y = (/** @type {number} */ count) => TOP + (1 - count / Math.max(1, states.total)) * (height - TOP - BOTTOM);
  const line = (/** @type {(n: number) => number} */ count) => {
    let sum = 0;
    const points = curve.completed.map((_, n) => `L${x(Math.min((n + 1) * curve.stepSeconds, elapsed))} ${y((sum += count(n)))}`);
    return { path: `M${x(0)} ${y(0)}${points.join("")}`, sum };
  };
  const { path, sum: done } = line((n) => (curve.completed[n] ?? 0) + (curve.failed[n] ?? 0));
  const band = end && `M${x(elapsed)} ${y(done)}L${x(elapsed + end.low)} ${y(done + end.left)}L${x(elapsed + end.high)} ${y(done + end.left)}Z`;
  const label = `Ended devices over time: ${number(done)} of ${number(states.total)} after ${duration(elapsed)}; planned ${duration(planned.at(-1)?.[0] ?? 0)}`;
  const left = (/** @type {{from: number}} */ item) => x((item.from - start) / 1000);
  const named = [...bands].sort((a, b) => b.to - b.from - (a.to - a.from)).slice(0, NAMED).sort((a, b) => a.from - b.from);
  return s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label },
    ...bands.map((item) => s("rect", { class: item.isHalt ? "halt" : "limit", x: left(item), width: Math.max(1, x((item.to - start) / 1000) - left(item)), y: TOP, height: height - TOP - BOTTOM }, s("title", {}, item.name))),
    s("line", { class: "axis", x1: LEFT, x2: WIDTH - 20, y1: y(0), y2: y(0) }),
    s("text", { x: 4, y: y(states.total) + 10 }, number(states.total)), s("text", { x: 4, y: y(0) }, "0"),
    band && s("path", { class: "band", d: band }),
    s("path", { class: "planned", d: `M${planned.map(([at, count]) => `${x(at)} ${y(count)}`).join("L")}` }),
    s("path", { class: "started", d: line((n) => curve.started[n] ?? 0).path }),
    s("path", { class: "actual", d: path }),
    ...named.map((item, n) => s("text", left(item) > WIDTH / 2 ? { x: Math.min(WIDTH - 20, x((item.to - start) / 1000)), "text-anchor": "end", y: TOP + 12 + n * 14 } : { x: left(item) + 3, y: TOP + 12 + n * 14 }, item.name)),
    s("text", { x: LEFT, y: height - 6 }, "start"), s("text", { x: WIDTH - 20, y: height - 6, "text-anchor": "end" }, duration(span)));
}

/** Return seconds and ended devices: each wave starts when the one before has ended. @param {import("./types.js").Rollout} rollout @param {import("./types.js").Forecast} forecast */
function plannedCurve(rollout, forecast) {
  const each = forecast.secondsPerDevice, total = rollout.waves.reduce((sum, wave) => sum + wave.size, 0);
  const perDevice = Math.max(0, seconds(forecast.duration) - each * rollout.waves.length) / Math.max(1, total);
  /** @type {[number, number][]} */
  const points = [[0, 0]];
  let at = 0, count = 0;
  for (const wave of rollout.waves) {
    points.push([at + each, count]);
    at += each + wave.size * perDevice;
    count += wave.size;
    points.push([at, count]);
  }
  return points;
}
