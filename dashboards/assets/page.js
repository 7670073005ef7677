// What only the browser knows: whether its user wants a dark page. It computes no number.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const scheme = () => (dark.matches ? "dark" : "light");
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.sweeper = { scheme };
  dark.addEventListener("change", () => window.dash_clientside.set_props("scheme", { data: scheme() }));
})();
