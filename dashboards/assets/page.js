// What only the browser knows: whether its user wants a dark page, and where on the page they are.
// It computes no number.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const scheme = () => (dark.matches ? "dark" : "light");
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.sweeper = { scheme };
  dark.addEventListener("change", () => window.dash_clientside.set_props("scheme", { data: scheme() }));

  // A piece that is brought up to date is made anew: focus, scrolling and unfolded parts are put back.
  const home = (element) => element.closest("main [id]")?.id;
  const scrolled = new Map();
  const unfolded = new Set();
  const nameOf = (details) => `${home(details)} ${details.querySelector("summary")?.textContent}`;
  let focused = null;

  addEventListener("focusin", (event) => {
    const link = event.target.closest("main a[href]");
    focused = link && { href: link.getAttribute("href"), text: link.textContent, home: home(link) };
  });
  addEventListener("pointerdown", () => { focused = null; });
  addEventListener("scroll", (event) => {
    if (event.target.matches?.(".wide")) scrolled.set(home(event.target), event.target.scrollLeft);
  }, true);
  addEventListener("toggle", (event) => {
    if (!event.target.isConnected) return;
    if (event.target.open) unfolded.add(nameOf(event.target));
    else unfolded.delete(nameOf(event.target));
  }, true);

  const putBack = (added) => {
    const within = (selector) => [...(added.matches(selector) ? [added] : []), ...added.querySelectorAll(selector)];
    within(".wide").forEach((wide) => { wide.scrollLeft = scrolled.get(home(wide)) ?? 0; });
    within("details").forEach((details) => { details.open = unfolded.has(nameOf(details)); });
    if (!focused || document.activeElement !== document.body) return;
    const known = (link) => link.getAttribute("href") === focused.href && home(link) === focused.home;
    within("a[href]").find(known)?.focus({ preventScroll: true });
  };
  new MutationObserver((seen) => {
    seen.flatMap((each) => [...each.addedNodes]).filter((node) => node.nodeType === Node.ELEMENT_NODE).forEach(putBack);
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
