/**
 * Draw the page as SVG text, with its words as words: `picture("Gate")` returns it up to that region.
 * Load this before the page: it records what is painted on a canvas.
 */
"use strict";
(() => {
  let end = 0; // of the picture
  const record = new WeakMap(); // canvas -> SVG shapes
  const prototype = CanvasRenderingContext2D.prototype;
  const shapes = (context) => record.get(context.canvas) ?? record.set(context.canvas, []).get(context.canvas);
  const round = (value) => Math.round(value * 10) / 10;
  const wrap = (name, draw) => {
    const before = prototype[name];
    prototype[name] = function (...given) {
      draw(this, ...given);
      return before.apply(this, given);
    };
  };
  const box = (x, y, width, height) => `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;
  const stroke = (context) => `fill="none" stroke="${context.strokeStyle}" stroke-width="${round(context.lineWidth)}"`;
  wrap("setTransform", (context) => record.set(context.canvas, [])); // the page begins each drawing with it
  wrap("fillRect", (context, ...at) => shapes(context).push(`<rect ${box(...at)} fill="${context.fillStyle}"/>`));
  wrap("strokeRect", (context, ...at) => shapes(context).push(`<rect ${box(...at)} ${stroke(context)}/>`));
  wrap("beginPath", (context) => (context.path = ""));
  wrap("moveTo", (context, x, y) => (context.path += `M${round(x)} ${round(y)}`));
  wrap("lineTo", (context, x, y) => (context.path += `L${round(x)} ${round(y)}`));
  wrap("stroke", (context) => shapes(context).push(`<path d="${context.path}" ${stroke(context)}/>`));

  const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const isClear = (colour) => colour === "transparent" || /, 0\)$/.test(colour);

  function drawBox(style, at) {
    const border = parseFloat(style.borderTopWidth), left = parseFloat(style.borderLeftWidth), bottom = parseFloat(style.borderBottomWidth);
    const fill = isClear(style.backgroundColor) ? "none" : style.backgroundColor;
    const frame = border ? ` stroke="${style.borderTopColor}" stroke-width="${border}"` : "";
    const drawn = [];
    if (fill !== "none" || frame) drawn.push(`<rect ${box(at.x, at.y, at.width, at.height)} rx="${parseFloat(style.borderTopLeftRadius) || 0}" fill="${fill}"${frame}/>`);
    if (left > 2) drawn.push(`<rect ${box(at.x, at.y, left, at.height)} fill="${style.borderLeftColor}"/>`);
    if (!border && bottom) drawn.push(`<rect ${box(at.x, at.bottom - bottom, at.width, bottom)} fill="${style.borderBottomColor}"/>`);
    return drawn;
  }

  function write(text, style, at) {
    const size = parseFloat(style.fontSize), weight = style.fontWeight === "400" ? "" : ` font-weight="${style.fontWeight}"`;
    const line = style.textDecorationLine === "underline" ? ' text-decoration="underline"' : "";
    const y = at.y + at.height / 2 + size * 0.36;
    return `<text x="${round(at.x)}" y="${round(y)}" font-size="${round(size)}" fill="${style.color}" textLength="${round(at.width)}" lengthAdjust="spacingAndGlyphs"${weight}${line}>${escape(text)}</text>`;
  }

  /** Return the lines of a text node with their places. */
  function lines(node) {
    const found = [], range = document.createRange();
    for (const word of node.data.matchAll(/\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const at = range.getClientRects()[0], last = found.at(-1);
      if (!at?.width) continue;
      if (last && Math.abs(last.y - at.y) < 2) Object.assign(last, { text: `${last.text} ${word[0]}`, width: at.right - last.x });
      else found.push({ text: word[0], x: at.x, y: at.y, width: at.width, height: at.height });
    }
    return found;
  }

  /** Return the words that the style puts before an element, in the room before its own. */
  function drawBefore(element, own) {
    const style = getComputedStyle(element, "::before"), text = /^"(.*)"$/.exec(style.content)?.[1]?.trim();
    const at = element.getBoundingClientRect();
    return text && own ? [write(text, style, { x: at.x, y: own.y, height: own.height, width: own.x - at.x - 5 })] : [];
  }

  function drawChart(chart, at) {
    const names = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-size", "text-anchor"];
    const copy = chart.cloneNode(true), copies = [...copy.querySelectorAll("*")];
    [...chart.querySelectorAll("*")].forEach((part, n) => {
      const style = getComputedStyle(part);
      for (const name of names) copies[n]?.setAttribute(name, style.getPropertyValue(name));
    });
    for (const title of copy.querySelectorAll("title")) title.remove();
    const shorten = (given) => given.replace(/\d+\.\d{2,}/g, (digits) => `${round(parseFloat(digits))}`);
    const inside = copy.innerHTML.replace(/="[^"]*"/g, shorten);
    return `<svg ${box(at.x, at.y, at.width, at.height)} viewBox="${chart.getAttribute("viewBox")}">${inside}</svg>`;
  }

  function* draw(element) {
    const style = getComputedStyle(element), at = element.getBoundingClientRect();
    if (style.display === "none" || style.visibility === "hidden" || !at.width || !at.height || at.y > end) return;
    if (element instanceof SVGSVGElement) yield drawChart(element, at);
    else if (element instanceof HTMLCanvasElement) yield `<g transform="translate(${round(at.x)} ${round(at.y)})">${(record.get(element) ?? []).join("")}</g>`;
    else {
      yield* drawBox(style, at);
      for (const child of element.childNodes) {
        if (child instanceof Element) yield* draw(child);
        else if (child instanceof Text) {
          const found = lines(child);
          if (child === element.firstChild) yield* drawBefore(element, found[0]);
          for (const line of found) yield write(line.text, style, line);
        }
      }
    }
  }

  globalThis.picture = (region) => {
    const last = document.querySelector(`[aria-label="${region}"]`);
    end = last.getBoundingClientRect().bottom;
    const width = innerWidth, height = Math.ceil(end) + 12, drawn = [...draw(document.body)].join("\n");
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif">\n<rect width="100%" height="100%" fill="${getComputedStyle(document.body).backgroundColor}"/>\n${drawn}\n</svg>\n`;
  };
})();
