"use strict";
// What the page holds: the facts, every walk, and the maps. Nothing is computed here but sums of differences.

const FACTS = JSON.parse(document.getElementById("facts").textContent);
const RULES = FACTS.rules;
const CHANNELS = 4;
const LENGTH = FACTS.nSteps + 1;

// A rule's walks lie one after another, its last dial fastest; `first` is the place of the rule's first walk.
let nWalks = 0;
for (const rule of RULES) {
  rule.first = nWalks;
  nWalks += rule.dials.reduce((n, dial) => n * FACTS.dials[dial].length, 1);
}

function bytesOf(id) {
  const element = document.getElementById(id);
  const letters = atob(element.textContent);
  element.remove();
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

async function unpackWalks() {
  const stream = new Blob([bytesOf("walks")]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Int16Array(await new Response(stream).arrayBuffer());
}

function unpackRelief() {
  return new Uint16Array(bytesOf("relief").buffer);
}

// The walk of `rule` at `state`'s settings: x, y, log10 of the excess loss and of the step length, step by step.
// `end` is the last step that is known: the one at which a walk diverged, else the last of all.
function walkOf(walks, rule, state) {
  const setting = rule.dials.reduce((at, dial) => at * FACTS.dials[dial].length + state.dials[dial], 0);
  const environment = 2 * state.surface + (state.noisy ? 1 : 0);
  const from = (environment * nWalks + rule.first + setting) * CHANNELS * LENGTH;
  const channels = Array.from({ length: CHANNELS }, (_, channel) => {
    const differences = walks.subarray(from + channel * LENGTH, from + (channel + 1) * LENGTH);
    const values = new Int16Array(LENGTH);
    // sixteen bits wrap around, as the differences did
    differences.forEach((difference, step) => { values[step] = difference + (step ? values[step - 1] : 0); });
    return values;
  });
  const { gone, levelsPerDecade, decades } = FACTS.packing;
  const firstGone = channels[0].indexOf(gone);
  const end = firstGone < 0 ? FACTS.nSteps : firstGone - 1;
  const [[xLow, yLow], [xHigh, yHigh]] = FACTS.surfaces[state.surface].box;
  const place = (low, high) => (q) => low + ((q + 32767) / 65534) * (high - low);
  const level = (q) => q / levelsPerDecade;
  return {
    x: Float64Array.from(channels[0], place(xLow, xHigh)),
    y: Float64Array.from(channels[1], place(yLow, yHigh)),
    loss: Float64Array.from(channels[2], level),
    step: Float64Array.from(channels[3], level),
    floor: -decades,
    end,
    diverged: firstGone >= 0 || atEdge(channels, FACTS.nSteps),
  };
}

// A walk that diverges at the very last step ends on the edge of the box, with nothing gone after it.
function atEdge([x, y], step) {
  return Math.abs(x[step]) === 32767 || Math.abs(y[step]) === 32767;
}
