// A formula that is wider than its place scrolls, by keyboard too.
(() => {
  "use strict";

  const reach = () => {
    for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
      const wide = formula.scrollWidth > formula.clientWidth;
      wide ? formula.setAttribute("tabindex", "0") : formula.removeAttribute("tabindex");
    }
  };

  document.addEventListener("DOMContentLoaded", async () => {
    await window.MathJax?.startup?.promise;
    reach();
    window.addEventListener("resize", reach);
  });
})();
