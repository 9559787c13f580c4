// Draws the book's figures. Each one carries its data as JSON and a static picture; this script
// loads Plotly from its own folder, only on pages that have a figure, and swaps the two. If
// anything fails, the picture stays.
(() => {
  "use strict";

  if (window.bookFigures) return; // the script is on the page twice
  window.bookFigures = true;

  const NARROW = 560; // below this width in pixels, the key above the plot names the lines
  const here = document.currentScript ? document.currentScript.src : document.baseURI;
  const config = { responsive: true, displayModeBar: false, scrollZoom: false, doubleClick: false };

  function loadPlotly() {
    if (window.Plotly) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("plotly.min.js", here).href;
      script.onload = () => (window.Plotly ? resolve() : reject(new Error("Plotly is absent")));
      script.onerror = () => reject(new Error("plotly.min.js could not be loaded"));
      document.head.appendChild(script);
    });
  }

  // Colours and letters of the page, so that the plot follows the theme.
  function themed(layout, figure, narrow) {
    const page = getComputedStyle(figure);
    const root = getComputedStyle(document.documentElement);
    const surface = root.getPropertyValue("--pst-color-surface").trim() || "#f3f4f5";
    const named = (note) => note.name === "end-label";
    return {
      ...layout,
      font: { ...layout.font, color: page.color, family: page.fontFamily },
      hoverlabel: { bgcolor: surface, font: { color: page.color, family: page.fontFamily } },
      margin: narrow ? { ...layout.margin, r: 12 } : layout.margin,
      annotations: narrow ? layout.annotations.filter((note) => !named(note)) : layout.annotations,
    };
  }

  function prepare(holder) {
    const figure = holder.closest(".book-figure");
    const plot = document.createElement("div");
    const content = JSON.parse(holder.querySelector('script[type="application/json"]').textContent);
    let state = "";
    let last = 0;
    let failed = false;

    function fail(error) {
      failed = true;
      figure.classList.remove("is-drawn", "is-narrow");
      console.warn(`figure ${holder.dataset.figure}: the static picture is shown.`, error);
    }

    // Draws if the width class or the theme changed; a hidden figure waits until it is seen.
    async function draw() {
      const width = figure.clientWidth;
      if (!width || failed) return;
      last = width;
      const narrow = width < NARROW;
      const wanted = `${narrow} ${getComputedStyle(figure).color}`;
      if (wanted === state) return;
      const first = state === "";
      state = wanted;
      figure.classList.add("is-drawn");
      figure.classList.toggle("is-narrow", narrow);
      // Plotly changes what it is given, so every drawing gets a copy.
      const { data, layout } = structuredClone(content);
      const method = first ? window.Plotly.newPlot : window.Plotly.react;
      await method(plot, data, themed(layout, figure, narrow), config);
    }

    const safely = () => draw().catch(fail);
    holder.appendChild(plot);
    new ResizeObserver(() => {
      if (figure.clientWidth === last) return;
      const resized = () => last && !failed && window.Plotly.Plots.resize(plot);
      safely().then(resized).catch(fail);
    }).observe(figure);
    return safely;
  }

  async function start() {
    const holders = [...document.querySelectorAll(".figure-interactive[data-figure]")];
    if (!holders.length) return;
    try {
      await loadPlotly();
    } catch (error) {
      console.warn("The figures stay static.", error);
      return;
    }
    const redraws = [];
    for (const holder of holders) {
      try {
        const redraw = prepare(holder);
        redraws.push(redraw);
        await redraw();
      } catch (error) {
        console.warn(`figure ${holder.dataset.figure}: the static picture is shown.`, error);
      }
    }
    document.documentElement.classList.add("figures-ready");
    new MutationObserver(() => redraws.forEach((redraw) => redraw())).observe(
      document.documentElement,
      { attributes: true, attributeFilter: ["data-theme"] },
    );
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
