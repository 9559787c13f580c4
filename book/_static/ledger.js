/* The claim ledger: show the claims that have one verdict on some model. The address keeps the
   choice (#verdict=contradicted), so that a link shows the same rows. Without this, all show. */
(() => {
  "use strict";

  const start = () => {
    const filter = document.querySelector(".ledger-filter");
    if (!filter) return;
    const claims = [...document.querySelectorAll(".ledger-table tbody")];
    const said = filter.querySelector("output");
    const choices = [...filter.querySelectorAll("input")];

    const named = () => document.getElementById(window.location.hash.slice(1)); // a claim

    const show = (wanted) => {
      const all = !choices.some((one) => one.value === wanted && one.value);
      for (const claim of claims) {
        claim.hidden = !all && !claim.dataset.verdicts.split(" ").includes(wanted);
      }
      for (const one of choices) one.checked = one.value === (all ? "" : wanted);
      const shown = claims.filter((claim) => !claim.hidden).length;
      said.textContent = `${shown} of ${claims.length} claims`;
      for (const part of document.querySelectorAll(".ledger-part:has(tbody)")) {
        part.hidden = !part.querySelector("tbody:not([hidden])");
        part.open = all ? part.contains(named()) : !part.hidden;
      }
    };
    const asked = () => new URLSearchParams(window.location.hash.slice(1)).get("verdict") || "";

    filter.addEventListener("change", (event) => {
      const wanted = event.target.value;
      history.replaceState(null, "", wanted ? `#verdict=${wanted}` : "#claims");
      show(wanted);
    });
    window.addEventListener("hashchange", () => show(asked()));
    filter.hidden = false;
    show(asked());
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
