/** The fleet matrix: one square per device in start order, or one per hundred above 10,000. */
import { h } from "./dom.js";
import { number, visible } from "./format.js";
import { stateOf } from "./model.js";

const MAX_SQUARES = 10_000;
const SHAPES = /** @type {Record<string, [string, string]>} */ ({
  queued: ["--queued", "empty"], updating: ["--busy", "half"], soaking: ["--soak", "ring"], completed: ["--good", "full"],
  failed: ["--bad", "cross"], cancelled: ["--skipped", "dash"], skipped: ["--skipped", "dot"], unknown: ["--line", "empty"],
});
const WORST = ["failed", "updating", "soaking", "queued", "completed", "skipped", "cancelled"];
/** @param {string} name */
const shown = (name) => {
  const state = stateOf(name);
  return state in SHAPES ? state : "updating";
};

export class Matrix {
  /**
   * @param {(position: number) => Promise<void>} open called with the position of the device to show
   * @param {(position: number) => Promise<string>} describe returns the name of a device
   */
  constructor(open, describe) {
    this.open = open;
    this.describe = describe;
    this.canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { tabindex: 0, role: "img", id: "matrix" }));
    this.legend = h("p", { class: "soft" });
    this.note = h("p", { "aria-live": "polite" }, "Point at a square, or move with the arrow keys; Enter opens the device.");
    this.element = h("div", {}, this.canvas, this.legend, this.note);
    /** @type {string[]} */ this.states = [];
    this.share = 1;
    this.cursor = -1;
    this.width = 0;
    this.timer = 0;
    this.canvas.addEventListener("mousemove", (event) => this.point(this.at(event)));
    this.canvas.addEventListener("click", (event) => this.choose(this.at(event)));
    this.canvas.addEventListener("keydown", (event) => this.move(event));
    new ResizeObserver(() => {
      this.width = this.element.clientWidth;
      this.draw(null);
    }).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(null));
  }

  /** @param {string[]} states @param {number[]|null} changed positions; null: all @param {{name: string, size: number}[]} waves */
  show(states, changed, waves) {
    this.states = states;
    this.share = states.length > MAX_SQUARES ? 100 : 1;
    this.ends = waves.map(((sum) => (wave) => (sum += wave.size))(0));
    this.waves = waves;
    /** @type {Record<string, number>} */
    const counts = {};
    /** @type {Map<string, number>} */
    const named = new Map();
    for (const name of states) named.set(name, (named.get(name) ?? 0) + 1);
    for (const [name, count] of named) counts[shown(name)] = (counts[shown(name)] ?? 0) + count;
    const words = { queued: "□ queued", updating: "◧ updating", soaking: "○ soaking", completed: "■ completed", failed: "✕ failed", cancelled: "– cancelled", skipped: "· skipped", unknown: "□ not known" };
    const text = Object.entries(words).filter(([state]) => counts[state]).map(([state, word]) => `${word} ${number(counts[state] ?? 0)}`).join("   ");
    this.legend.textContent = this.share > 1 ? `${text}. One square is 100 devices, by their worst state.` : text;
    this.canvas.setAttribute("aria-label", `Devices in start order: ${text}`);
    this.draw(changed);
  }

  get squares() {
    return Math.ceil(this.states.length / this.share);
  }

  layout() {
    // To read the width at each update would lay out the whole page each time.
    const width = (this.width ||= this.element.clientWidth) || 300;
    const size = Math.max(this.squares > 3000 ? 6 : this.squares > 400 ? 9 : 14, Math.min(22, Math.floor(Math.sqrt((width * innerHeight * 0.3) / Math.max(1, this.squares)))));
    const columns = Math.max(1, Math.floor(width / size));
    return { size, columns, rows: Math.ceil(this.squares / columns) };
  }

  /** @param {number[]|null} changed */
  draw(changed) {
    const layout = this.layout(), ratio = devicePixelRatio || 1;
    const width = layout.columns * layout.size, height = Math.max(1, layout.rows * layout.size);
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const whole = changed === null || this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio);
    if (whole) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
      const style = getComputedStyle(document.documentElement);
      this.colours = Object.fromEntries(Object.entries(SHAPES).map(([state, [name]]) => [state, style.getPropertyValue(name)]));
      this.edge = style.getPropertyValue("--text");
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const squares = whole ? Array(this.squares).keys() : new Set((changed ?? []).map((position) => Math.floor(position / this.share)));
    for (const square of squares) this.paint(context, layout, square);
  }

  /** @param {number} square */
  stateAt(square) {
    return shown(this.states[this.positionAt(square)] ?? "unknown");
  }

  /** Return the position of the device that a square is about: the first of those in the worst state. @param {number} square */
  positionAt(square) {
    const first = square * this.share;
    if (this.share === 1) return first;
    const states = this.states.slice(first, first + this.share).map(shown);
    return first + Math.max(0, states.indexOf(WORST.find((state) => states.includes(state)) ?? "unknown"));
  }

  /** @param {CanvasRenderingContext2D} context @param {{size: number, columns: number}} layout @param {number} square */
  paint(context, { size, columns }, square) {
    const x = (square % columns) * size, y = Math.floor(square / columns) * size, side = size - 1.5;
    const state = this.stateAt(square), colour = this.colours?.[state] ?? "gray", shape = SHAPES[state]?.[1];
    context.clearRect(x, y, size, size);
    context.fillStyle = context.strokeStyle = colour;
    context.lineWidth = Math.max(1, size / 9);
    if (shape === "full") context.fillRect(x, y, side, side);
    else if (shape === "half") { context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1); context.fillRect(x, y, side / 2, side); }
    else if (shape === "cross") {
      context.lineWidth = Math.max(1.5, size / 5);
      context.beginPath();
      context.moveTo(x + 1, y + 1); context.lineTo(x + side - 1, y + side - 1);
      context.moveTo(x + side - 1, y + 1); context.lineTo(x + 1, y + side - 1);
      context.stroke();
    } else if (shape === "ring") { context.beginPath(); context.arc(x + side / 2, y + side / 2, side / 2 - 1, 0, 7); context.stroke(); }
    else if (shape === "dash") context.fillRect(x + 1, y + side / 2 - 1, side - 2, 2);
    else if (shape === "dot") context.fillRect(x + side / 2 - 1, y + side / 2 - 1, 2, 2);
    else context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
    const device = square * this.share;
    if (device > 0 && this.ends?.some((end) => Math.floor(end / this.share) === square && end < this.states.length)) {
      context.fillStyle = this.edge ?? "black";
      context.fillRect(x - 1, y - 1, 2, size);
    }
    if (square === this.cursor) { context.strokeStyle = this.edge ?? "black"; context.lineWidth = 2; context.strokeRect(x, y, side, side); }
  }

  /** @param {MouseEvent} event */
  at(event) {
    const { size, columns } = this.layout();
    const column = Math.floor(event.offsetX / size);
    return column < columns ? Math.floor(event.offsetY / size) * columns + column : -1;
  }

  /** @param {KeyboardEvent} event */
  move(event) {
    const { columns } = this.layout();
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (event.key === "Enter") this.choose(this.cursor);
    if (!step) return;
    event.preventDefault();
    this.point(Math.min(this.squares - 1, Math.max(0, this.cursor + step)));
  }

  /** @param {number} square */
  point(square) {
    if (square === this.cursor || square < 0 || square >= this.squares) return;
    const before = this.cursor, position = this.positionAt(square);
    this.cursor = square;
    this.draw([before * this.share, position].filter((item) => item >= 0));
    const wave = this.waves?.[this.ends?.findIndex((end) => position < end) ?? 0]?.name ?? "";
    const say = (/** @type {string} */ name) => (this.note.textContent = visible(`${name}, wave ${wave}: ${this.states[position] ?? ""}`));
    say(`Position ${number(position + 1)}`);
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const name = await this.describe(position).catch(() => "");
      if (name && this.cursor === square) say(name);
    }, 150);
  }

  /** @param {number} square */
  choose(square) {
    if (square < 0 || square >= this.squares) return;
    this.open(this.positionAt(square)).catch((error) => (this.note.textContent = error.message));
  }
}
