// Draws each figure when it comes into sight, in the page's colours. It computes no number.
(() => {
  "use strict";
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const printing = matchMedia("print");
  const places = [...document.querySelectorAll(".drawing")];
  const drawn = new Map();

  const themeNow = () => (dark.matches && !printing.matches ? "dark" : "light");

  function draw(place) {
    const theme = themeNow();
    if (drawn.get(place) === theme) return undefined;
    drawn.set(place, theme);
    const source = document.querySelector(`script[data-figure="${place.dataset.key}"]`);
    const figure = JSON.parse(source.textContent);
    figure.layout.template = themes[theme];
    place.style.minWidth = `${figure.layout.meta.min_width}px`;
    if (figure.layout.height) place.style.minHeight = `${figure.layout.height}px`;
    return Plotly.react(place, figure.data, figure.layout, { responsive: true, displaylogo: false });
  }

  // A folded figure has no width: it waits until it is unfolded.
  const isOpen = (place) => place.offsetWidth > 0;

  const seen = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "400px" },
  );
  places.forEach((place) => seen.observe(place));

  const redraw = () => [...drawn.keys()].forEach(draw);
  dark.addEventListener("change", redraw);

  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => {
      details.dataset.was = details.open ? "open" : "";
      details.open = true;
    });
    places.filter(isOpen).forEach((place) => {
      draw(place);
      Plotly.Plots.resize(place);
    });
  });
  addEventListener("afterprint", () => {
    document.querySelectorAll("details").forEach((details) => {
      details.open = details.dataset.was === "open";
    });
    redraw();
  });
})();
