// Keeps the reader's place among the runs of one chapter: who switches to another run meets it at
// the heading, or the figure, where the last one was left. Without it the links lead to the top.
(() => {
  "use strict";

  if (window.bookPoints) return; // the script is on the page twice
  window.bookPoints = true;

  const KEPT = "book-place";
  const SETTLED = 6000; // milliseconds until all figures of a page should have been drawn

  // What a place is told by: headings and figures have the same names in all runs of a chapter.
  const marks = () => [...document.querySelectorAll(".bd-article section[id], .bd-article figure[id]")];

  // The last mark above the line that is read, and how far below its top the line lies.
  function place(line) {
    const above = marks().filter((mark) => mark.getBoundingClientRect().top <= line + 1);
    const mark = above.at(-1);
    return mark ? { id: mark.id, below: line - mark.getBoundingClientRect().top } : null;
  }

  function start() {
    const switcher = document.querySelector(".point-switcher");
    if (!switcher) return;
    const header = document.querySelector(".bd-header-article");
    const stuck = () => {
      const fixed = header && ["sticky", "fixed"].includes(getComputedStyle(header).position);
      const top = fixed ? header.getBoundingClientRect().height : 0;
      switcher.style.setProperty("--point-top", `${top}px`);
      const bottom = top + switcher.getBoundingClientRect().height;
      document.documentElement.style.setProperty("--point-bottom", `${bottom + 12}px`);
    };
    stuck();
    const watching = new ResizeObserver(stuck);
    for (const part of [header, switcher].filter(Boolean)) watching.observe(part);
    const line = () => switcher.getBoundingClientRect().bottom;

    switcher.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
      if (link.getAttribute("aria-current")) {
        event.preventDefault();
        return;
      }
      const axis = [...switcher.querySelectorAll(".point-axis")].indexOf(link.closest(".point-axis"));
      const kept = { to: new URL(link.href).pathname, axis, keyboard: event.detail === 0 };
      try {
        // At the top of the page the place is the top.
        sessionStorage.setItem(KEPT, JSON.stringify({ ...kept, ...(window.scrollY > 0 && place(line())) }));
      } catch {
        // A browser that keeps nothing leads to the top.
      }
    });

    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(KEPT));
      sessionStorage.removeItem(KEPT);
    } catch {
      return;
    }
    if (!kept || kept.to !== window.location.pathname) return;
    const current = switcher.querySelectorAll(".point-axis")[kept.axis]?.querySelector("[aria-current]");
    if (kept.keyboard) current?.focus({ preventScroll: true });
    const mark = kept.id && document.getElementById(kept.id);
    if (!mark) return;

    // Figures and formulas move what stands below them while they are drawn.
    const go = () => {
      const off = mark.getBoundingClientRect().top + kept.below - line();
      if (Math.abs(off) > 1) window.scrollBy({ top: off, behavior: "instant" });
    };
    const moving = new ResizeObserver(go);
    const stop = () => moving.disconnect();
    moving.observe(document.querySelector(".bd-article"));
    for (const event of ["wheel", "touchstart", "keydown", "pointerdown"]) {
      window.addEventListener(event, stop, { once: true, passive: true });
    }
    setTimeout(stop, SETTLED);
    go();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
