// The chart: each rule's loss above the lowest value, step by step, on a logarithmic axis.

const CHART = { left: 52, right: 12, top: 8, bottom: 40, aspect: 1.5, floor: -6 };

class LossChart {
  constructor(svg) {
    this.svg = svg;
  }

  // `start` is log10 of the loss at the start, which sets the axis's upper end.
  frame(start) {
    const outer = this.svg.parentElement.clientWidth;
    this.width = outer - CHART.left - CHART.right;
    this.height = this.width / CHART.aspect;
    this.ceiling = Math.ceil(start) + 1;
    const total = this.height + CHART.top + CHART.bottom;
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${outer} ${total}`);
    this.svg.setAttribute("height", total);
    const area = { x: CHART.left, y: CHART.top, width: this.width, height: this.height };
    make("rect", area, make("clipPath", { id: "chart-clip" }, make("defs", {}, this.svg)));
    this.axes(total);
    make("rect", { class: "frame", ...area }, this.svg);
    this.walks = drawnWalks(this.svg, "url(#chart-clip)", "none");
  }

  px(step) { return CHART.left + (step / FACTS.nSteps) * this.width; }
  py(level) { return CHART.top + ((this.ceiling - level) / (this.ceiling - CHART.floor)) * this.height; }

  axes(total) {
    const axis = make("g", { class: "axis" }, this.svg);
    for (let level = CHART.floor; level <= this.ceiling; level++) {
      const y = this.py(level);
      make("path", { class: "grid", d: `M${CHART.left},${y}h${this.width}` }, axis);
      const label = make("text", { x: CHART.left - 6, y: y + 4, "text-anchor": "end" }, axis, "10");
      make("tspan", { dy: -4, "font-size": 9 }, label, number(level));
    }
    for (let step = 0; step <= FACTS.nSteps; step += 20) {
      make("path", { class: "grid", d: `M${this.px(step)},${CHART.top}v${this.height}` }, axis);
      make("text", { x: this.px(step), y: CHART.top + this.height + 16, "text-anchor": "middle" }, axis, step);
    }
    make("text", { x: CHART.left + this.width / 2, y: total - 5, "text-anchor": "middle" }, axis, "step");
    const middle = CHART.top + this.height / 2;
    make("text", { x: 11, y: middle, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` }, axis, "loss above lowest");
  }

  draw(rule, walk, step, shown) {
    const parts = this.walks.get(rule.key);
    showWalk(parts, shown);
    if (!shown) return;
    const last = Math.min(step, walk.end);
    let line = "";
    for (let at = 0; at <= last; at++) {
      // a loss far off the chart would only make a long line that is cut anyway
      const level = Math.max(Math.min(walk.loss[at], this.ceiling + 1), CHART.floor - 1);
      line += `${at ? "L" : "M"}${this.px(at).toFixed(1)},${this.py(level).toFixed(1)}`;
    }
    parts.halo.setAttribute("d", line);
    parts.trail.setAttribute("d", line);
    const level = Math.max(Math.min(walk.loss[last], this.ceiling), CHART.floor);
    parts.head.setAttribute("transform", `translate(${this.px(last).toFixed(1)},${this.py(level).toFixed(1)}) scale(0.8)`);
  }
}
