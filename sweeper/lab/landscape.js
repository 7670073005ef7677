// The page's state, its controls, and the clock that plays the walks.

const el = (id) => document.getElementById(id);
const QUADRATICS = FACTS.surfaces.flatMap((surface, index) => (surface.condition === null ? [] : [index]));
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const state = { surface: 0, noisy: false, dials: {}, shown: new Set(), step: 0, playing: false };
let walks, lossMap, chart;
let current = new Map(); // the walk of every rule at the current settings

function short(value) {
  return String(Number(value.toPrecision(4)));
}

// A number from its log10: three digits, in powers of ten where it is small or large.
function fromLog(level, floor) {
  if (level <= floor) return "0";
  const value = 10 ** level;
  if (value >= 0.01 && value < 1000) return value.toPrecision(3);
  const [digits, exponent] = value.toExponential(1).split("e");
  return `${digits}e${number(Number(exponent))}`;
}

// --- what is seen

function drawStep() {
  for (const rule of RULES) {
    const walk = current.get(rule.key);
    const shown = state.shown.has(rule.key);
    lossMap.draw(rule, walk, state.step, shown);
    chart.draw(rule, walk, state.step, shown);
    fillRow(rule, walk, shown);
  }
  el("step").value = state.step;
  el("step-text").textContent = `step ${state.step} of ${FACTS.nSteps}`;
}

function fillRow(rule, walk, shown) {
  const row = el("rules").querySelector(`[data-rule="${rule.key}"]`);
  row.classList.toggle("hidden", !shown);
  const at = Math.min(state.step, walk.end);
  const cells = [
    fromLog(walk.loss[at], walk.floor),
    at ? fromLog(walk.step[at], walk.floor) : "–",
    where(walk, at),
  ];
  [...row.querySelectorAll("td")].forEach((cell, column) => { cell.textContent = shown ? cells[column] : ""; });
}

// In words, where a walk is: diverged, off the map, or at a landmark, if it has all but stopped there.
function where(walk, at) {
  if (walk.diverged && at === walk.end) return `diverged at step ${walk.end}`;
  const { bounds: [[left, right], [bottom, top]], landmarks } = FACTS.surfaces[state.surface];
  const [x, y] = [walk.x[at], walk.y[at]];
  if (x < left || x > right || y < bottom || y > top) return "off the map";
  const near = 0.01 * (right - left);
  const mark = landmarks.find((known) => Math.hypot(x - known.at[0], y - known.at[1]) < near);
  return mark && at && 10 ** walk.step[at] < near ? `at ${mark.name}` : "";
}

function drawAll() {
  lossMap.frame(state.surface);
  chart.frame(walkOf(walks, RULES[0], state).loss[0]);
  drawWalks();
}

// Draws what a dial changes: the map and the axes stay.
function drawWalks() {
  current = new Map(RULES.map((rule) => [rule.key, walkOf(walks, rule, state)]));
  showSettings();
  drawStep();
}

function showSettings() {
  const surface = FACTS.surfaces[state.surface];
  const quadratic = surface.condition !== null;
  el("map-title").textContent = surface.title + (quadratic ? `, condition number ${surface.condition}` : "");
  el("surface").value = quadratic ? "quadratic" : surface.key;
  el("condition").disabled = !quadratic;
  el("condition").closest(".dial").classList.toggle("off", !quadratic);
  if (quadratic) el("condition").value = QUADRATICS.indexOf(state.surface);
  setText("condition", quadratic ? String(surface.condition) : "–");
  el("noise").checked = state.noisy;
  el("formula").textContent = surface.formula + (state.noisy ? `, noise of sd ${surface.noise} on each gradient` : "");
  for (const [dial, values] of Object.entries(FACTS.dials)) {
    el(dial).value = state.dials[dial];
    setText(dial, short(values[state.dials[dial]]));
  }
  for (const box of el("rules").querySelectorAll("input")) box.checked = state.shown.has(box.value);
  showLimits(quadratic);
}

function setText(id, text) {
  el(`${id}-text`).textContent = text;
  el(id).setAttribute("aria-valuetext", text);
}

// --- the limits of stability

const LIMIT_WORDS = { sgd: "2/λmax", momentum: "2(1 + rho)/λmax", nesterov: "2(1 + rho)/(1 + 2 rho)/λmax" };

function showLimits(quadratic) {
  const lr = FACTS.dials.lr[state.dials.lr];
  const limited = RULES.filter((rule) => rule.limits[state.dials.rho] !== null);
  el("limits").replaceChildren(...limited.map((rule, row) => limitMark(rule, row)));
  const sentences = limited.map((rule) => {
    const limit = rule.limits[state.dials.rho];
    const verdict = document.createElement("strong");
    verdict.textContent = `${rule.label} is ${lr < limit ? "stable" : "unstable"}`;
    return [verdict, ` (lr ${short(lr)} ${lr < limit ? "<" : ">"} ${LIMIT_WORDS[rule.key]} = ${short(limit)}). `];
  });
  const caveat = quadratic ? "" : "Here that holds near the lowest minimum, where λmax = 1; elsewhere the curvature differs.";
  el("verdict").replaceChildren(...sentences.flat(), caveat);
}

// A tick and a label under the lr slider, where the rule's limit lies between the slider's values.
function limitMark(rule, row) {
  const limit = rule.limits[state.dials.rho];
  const values = FACTS.dials.lr;
  const above = values.findIndex((value) => value > limit);
  const place = above - 1 + (limit - values[above - 1]) / (values[above] - values[above - 1]);
  const share = place / (values.length - 1);
  const mark = document.createElement("span");
  mark.textContent = `${rule.label} ${short(limit)}`;
  mark.className = share > 0.6 ? "left" : "";
  mark.style.color = `var(--${rule.key})`;
  // 8 px: half of a slider's thumb, whose middle doesn't reach the slider's ends
  mark.style.left = `calc(8px + ${share} * (100% - 16px))`;
  mark.style.height = `${1.35 * (row + 1)}em`;
  return mark;
}

// --- playing

let lastTick = 0;

function play(on) {
  if (on && state.step >= FACTS.nSteps) state.step = 0;
  state.playing = on;
  el("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  lastTick = performance.now();
  drawStep();
  requestAnimationFrame(tick);
}

function tick(now) {
  if (!state.playing) return;
  const stepMs = 1000 / Number(el("speed").value);
  const steps = Math.floor((now - lastTick) / stepMs);
  if (steps > 0) {
    lastTick += steps * stepMs;
    state.step = Math.min(state.step + steps, FACTS.nSteps);
    drawStep();
  }
  if (state.step >= FACTS.nSteps) play(false);
  else requestAnimationFrame(tick);
}

// --- controls

function usePreset(key) {
  const preset = FACTS.presets.find((known) => known.key === key);
  state.surface = FACTS.surfaces.findIndex((surface) => surface.key === preset.surface);
  state.noisy = preset.noisy;
  state.dials = { ...preset.dials };
  state.shown = new Set(preset.rules);
  // who asked for less motion sees the whole walk at once, and may still press Play
  state.step = calm.matches ? FACTS.nSteps : 0;
  state.playing = false;
  el("look").textContent = preset.look;
  markPreset(key);
  drawAll();
  play(!calm.matches);
}

function markPreset(key) {
  for (const button of el("presets").children) {
    button.setAttribute("aria-pressed", String(button.dataset.preset === key));
  }
}

// A change by hand: the preset's sentence no longer tells what is seen.
function changed(draw) {
  markPreset(null);
  el("look").textContent = "Your own settings.";
  draw();
}

function chooseSurface() {
  const key = el("surface").value;
  state.surface = key === "quadratic" ? QUADRATICS[Number(el("condition").value)]
    : FACTS.surfaces.findIndex((surface) => surface.key === key);
  changed(drawAll);
}

function show(keys) {
  state.shown = new Set(keys);
  showSettings();
  drawStep();
}

function listen() {
  el("presets").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    usePreset(button.dataset.preset);
    // so that the space bar pauses what it was that the button started
    el("play").focus({ preventScroll: true });
  });
  el("play").addEventListener("click", () => play(!state.playing));
  el("step").addEventListener("input", () => {
    play(false);
    state.step = Number(el("step").value);
    drawStep();
  });
  el("surface").addEventListener("change", chooseSurface);
  el("condition").addEventListener("input", chooseSurface);
  el("noise").addEventListener("change", () => { state.noisy = el("noise").checked; changed(drawWalks); });
  for (const dial of Object.keys(FACTS.dials)) {
    el(dial).max = FACTS.dials[dial].length - 1;
    el(dial).addEventListener("input", () => { state.dials[dial] = Number(el(dial).value); changed(drawWalks); });
  }
  const boxes = () => [...el("rules").querySelectorAll("input")];
  el("rules").addEventListener("change", () => show(boxes().filter((box) => box.checked).map((box) => box.value)));
  el("show-all").addEventListener("click", () => show(RULES.map((rule) => rule.key)));
  el("hide-all").addEventListener("click", () => show([]));
  document.addEventListener("keydown", (event) => {
    // on these the space bar has a meaning of its own
    if (event.key !== " " || event.target.closest("button, select, summary, input[type=checkbox]")) return;
    event.preventDefault();
    play(!state.playing);
  });
}

async function begin() {
  walks = await unpackWalks();
  lossMap = new LossMap(el("map"), unpackRelief());
  chart = new LossChart(el("chart"));
  for (const row of el("rules").children) drawSwatch(row.querySelector(".swatch"), row.dataset.rule);
  listen();
  let width = 0;
  // It reports the first layout too: before it, there is no width to draw in.
  new ResizeObserver(([{ contentRect }]) => {
    if (!contentRect.width || contentRect.width === width) return;
    const first = !width;
    width = contentRect.width;
    if (first) start();
    else drawAll();
  }).observe(el("map"));
}

function start() {
  usePreset(FACTS.presets[0].key);
  el("play").disabled = false;
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

begin().catch((error) => {
  el("look").textContent = `This browser can't show the page: ${error.message}`;
  console.error(error);
});
