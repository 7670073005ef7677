// The map: bands of equal loss on a canvas, and over them, in SVG, the landmarks and the walks.

const SVG = "http://www.w3.org/2000/svg";
const BANDS = 18;
const MARGIN = { left: 44, right: 10, top: 6, bottom: 38 };
const MAP_ASPECT = 5 / 3;

// One outline per rule, so that colour isn't all that tells them apart; each fits a circle of radius 7.
const HEADS = {
  sgd: "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0Z",
  momentum: "M-5.5,-5.5H5.5V5.5H-5.5Z",
  nesterov: "M0,-7.5L7.5,0L0,7.5L-7.5,0Z",
  adagrad: "M0,-7L7,5.5H-7Z",
  rmsprop: "M0,7L7,-5.5H-7Z",
  adam: "M0,-8L2.2,-2.6L8,-2.6L3.4,1.2L5,7L0,3.6L-5,7L-3.4,1.2L-8,-2.6L-2.2,-2.6Z",
  adam_uncorrected: "M-2.4,-7H2.4V-2.4H7V2.4H2.4V7H-2.4V2.4H-7V-2.4H-2.4Z",
  newton: "M-7,-4L-4,-7L0,-3L4,-7L7,-4L3,0L7,4L4,7L0,3L-4,7L-7,4L-3,0Z",
};
const DASHES = { adam_uncorrected: "7 5", nesterov: "2 5", rmsprop: "10 4 2 4" };

function make(tag, attributes, parent, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}

function cssColour(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

// Fills the canvas with bands; `heights` is the surface's grid of RELIEF_SHAPE, from the upper left.
function paintRelief(canvas, heights, width, height) {
  const [rows, columns] = FACTS.packing.relief;
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  Object.assign(canvas, { width: w, height: h });
  Object.assign(canvas.style, { left: `${MARGIN.left}px`, top: `${MARGIN.top}px`, width: `${width}px`, height: `${height}px` });
  const [low, high, contour] = ["--low", "--high", "--contour"].map(cssColour);
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  const bands = new Uint8Array(w * h);
  for (let j = 0, at = 0; j < h; j++) {
    const v = (j / (h - 1)) * (rows - 1);
    const row = Math.min(Math.floor(v), rows - 2);
    for (let i = 0; i < w; i++, at++) {
      const u = (i / (w - 1)) * (columns - 1);
      const column = Math.min(Math.floor(u), columns - 2);
      const corner = row * columns + column;
      const upper = heights[corner] + (u - column) * (heights[corner + 1] - heights[corner]);
      const lower = heights[corner + columns] + (u - column) * (heights[corner + columns + 1] - heights[corner + columns]);
      bands[at] = Math.floor(((upper + (v - row) * (lower - upper)) / 65536) * BANDS);
      const edge = (i && bands[at - 1] !== bands[at]) || (j && bands[at - w] !== bands[at]);
      const share = bands[at] / (BANDS - 1);
      for (let c = 0; c < 3; c++) {
        image.data[4 * at + c] = edge ? contour[c] : low[c] + share * (high[c] - low[c]);
      }
      image.data[4 * at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

class LossMap {
  constructor(figure, relief) {
    this.canvas = figure.querySelector("canvas");
    this.svg = figure.querySelector("svg");
    this.relief = relief;
  }

  // Draws all that stands still: to be called when the loss, the width or the colours change.
  frame(surfaceIndex) {
    const surface = FACTS.surfaces[surfaceIndex];
    const outer = this.svg.parentElement.clientWidth;
    this.width = outer - MARGIN.left - MARGIN.right;
    this.height = this.width / MAP_ASPECT;
    [[this.left, this.right], [this.bottom, this.top]] = surface.bounds;
    const [rows, columns] = FACTS.packing.relief;
    const grid = this.relief.subarray(surfaceIndex * rows * columns, (surfaceIndex + 1) * rows * columns);
    paintRelief(this.canvas, grid, this.width, this.height);
    const total = this.height + MARGIN.top + MARGIN.bottom;
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${outer} ${total}`);
    this.svg.setAttribute("height", total);
    const clip = make("clipPath", { id: "map-clip" }, make("defs", {}, this.svg));
    make("rect", { x: MARGIN.left, y: MARGIN.top, width: this.width, height: this.height }, clip);
    make("rect", { class: "frame", x: MARGIN.left, y: MARGIN.top, width: this.width, height: this.height }, this.svg);
    this.axes(total);
    this.landmarks(surface);
    this.walks = drawnWalks(this.svg, "url(#map-clip)", "url(#map-clip)");
  }

  px(x) { return MARGIN.left + ((x - this.left) / (this.right - this.left)) * this.width; }
  py(y) { return MARGIN.top + ((this.top - y) / (this.top - this.bottom)) * this.height; }

  axes(total) {
    const axis = make("g", { class: "axis" }, this.svg);
    const bottom = MARGIN.top + this.height;
    for (let x = Math.ceil(this.left); x <= this.right; x++) {
      make("text", { x: this.px(x), y: bottom + 15, "text-anchor": "middle" }, axis, number(x));
    }
    for (let y = Math.ceil(this.bottom); y <= this.top; y++) {
      make("text", { x: MARGIN.left - 6, y: this.py(y) + 4, "text-anchor": "end" }, axis, number(y));
    }
    make("text", { x: MARGIN.left + this.width / 2, y: total - 5, "text-anchor": "middle" }, axis, "first weight, x");
    const middle = MARGIN.top + this.height / 2;
    make("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, axis, "second weight, y");
  }

  landmarks(surface) {
    const [x, y] = surface.start;
    make("circle", { class: "landmark", cx: this.px(x), cy: this.py(y), r: 8 }, this.svg);
    make("text", { class: "name", x: this.px(x), y: this.py(y) - 13, "text-anchor": "middle" }, this.svg, "start");
    for (const mark of surface.landmarks) {
      const [cx, cy] = [this.px(mark.at[0]), this.py(mark.at[1])];
      make("path", { class: "landmark", d: `M${cx - 9},${cy}h18M${cx},${cy - 9}v18` }, this.svg);
      make("text", { class: "name", x: cx, y: cy + 25, "text-anchor": "middle" }, this.svg, mark.name);
    }
  }

  draw(rule, walk, step, shown) {
    const parts = this.walks.get(rule.key);
    showWalk(parts, shown);
    if (!shown) return;
    const last = Math.min(step, walk.end);
    let line = "";
    let dots = "";
    for (let at = 0; at <= last; at++) {
      const point = `${this.px(walk.x[at]).toFixed(1)},${this.py(walk.y[at]).toFixed(1)}`;
      line += `${at ? "L" : "M"}${point}`;
      dots += `M${point}h0`;
    }
    parts.halo.setAttribute("d", line);
    parts.trail.setAttribute("d", line);
    parts.dots.setAttribute("d", dots);
    parts.head.setAttribute("transform", `translate(${this.px(walk.x[last]).toFixed(1)},${this.py(walk.y[last]).toFixed(1)})`);
  }
}

// The SVG of every rule's walk, by the rule's key; all heads lie over all lines.
// Earlier rules lie over later ones: under noise, Newton's line would bury the others.
function drawnWalks(svg, lineClip, headClip) {
  const lines = make("g", { "clip-path": lineClip }, svg);
  const heads = make("g", { "clip-path": headClip }, svg);
  return new Map(RULES.map((rule) => [rule.key, drawnWalk(rule, lines, heads)]));
}

function showWalk({ group, head }, shown) {
  for (const part of [group, head]) part.style.display = shown ? "" : "none";
}

// One rule's walk: a halo that parts its line from the others', the line, a dot per step, and its head.
function drawnWalk(rule, lines, heads) {
  const colour = `var(--${rule.key})`;
  const group = make("g", { class: "walk", "data-rule": rule.key });
  lines.prepend(group);
  const halo = make("path", { class: "halo" }, group);
  const trail = make("path", { class: "trail", stroke: colour }, group);
  if (DASHES[rule.key]) trail.setAttribute("stroke-dasharray", DASHES[rule.key]);
  const dots = make("path", { class: "dots", stroke: colour }, group);
  const head = make("path", { class: "head", "data-rule": rule.key, d: HEADS[rule.key] }, heads);
  head.style.fill = colour;
  return { group, halo, trail, dots, head };
}

function drawSwatch(svg, key) {
  const colour = `var(--${key})`;
  const line = make("path", { d: "M0,7H34", stroke: colour, "stroke-width": 2.2 }, svg);
  if (DASHES[key]) line.setAttribute("stroke-dasharray", DASHES[key]);
  make("path", { d: HEADS[key], fill: colour, transform: "translate(17,7) scale(0.85)" }, svg);
}

function number(value) {
  return String(value).replace("-", "−");
}
