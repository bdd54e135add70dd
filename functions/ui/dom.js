/** Build elements. Text is always set as text, so nothing that a device reports becomes markup. */

import { visible } from "./format.js";

/** @typedef {Node|string|number|null|false|undefined} Child */

/**
 * Return an element. A property `onName` is a listener, others are attributes; null leaves one out.
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  return /** @type {HTMLElement} */ (fill(element, properties, children));
}

/**
 * Return an element of SVG.
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(name, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  return /** @type {SVGElement} */ (fill(element, properties, children));
}

/**
 * @param {Element} element
 * @param {Record<string, any>} properties
 * @param {Child[]} children
 */
function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2).toLowerCase(), value);
    else element.setAttribute(key, value === true ? "" : key === "href" || key === "value" ? String(value) : visible(String(value)));
  }
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : visible(String(child)));
  }
  return element;
}

/** @type {WeakMap<Element, string>} */
const shown = new WeakMap();

/**
 * Replace an element's content if what it shows has changed; keep the focus, and how far tables are scrolled.
 * @param {Element} element
 * @param {unknown} value what the content depends on
 * @param {() => Child[]} build
 */
export function update(element, value, build) {
  const text = JSON.stringify(value);
  if (shown.get(element) === text) return;
  shown.set(element, text);
  const active = document.activeElement, scrolled = Array.from(element.querySelectorAll("[data-scrolled]"), (part) => ({ id: part.id, top: Number(part.getAttribute("data-scrolled")) }));
  const focused = active && element.contains(active) ? active.id : "";
  element.replaceChildren();
  fill(element, {}, build());
  for (const { id, top } of scrolled) document.getElementById(id)?.scrollTo({ top });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/**
 * Return a table that scrolls by itself on a narrow screen.
 * @param {string} caption
 * @param {string[]} columns a name that ends in # is of numbers
 * @param {Child[][]} rows
 */
export function table(caption, columns, rows) {
  const kinds = columns.map((column) => (column.endsWith("#") ? "number" : null));
  const heads = columns.map((column, n) => h("th", { scope: "col", class: kinds[n] }, column.replace("#", "")));
  const body = rows.map((row) => h("tr", {}, ...row.map((cell, n) => h("td", { class: kinds[n] }, cell))));
  // To read `scrollTop` at each update would lay out the whole page each time.
  const note = (/** @type {globalThis.Event} */ { target }) => target instanceof Element && target.setAttribute("data-scrolled", String(target.scrollTop));
  return h("div", { class: "scroll", onScroll: note, id: `table-${caption.replace(/\W+/g, "-")}`, tabindex: 0, role: "group", "aria-label": caption },
    h("table", {}, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...body)));
}
