// Draws the book's figures. Each one carries its plot as JSON and a static picture; this script
// loads Plotly from its own folder, only on pages that have a figure, and swaps the two. If
// anything fails, the picture stays.
(() => {
  "use strict";

  if (window.bookFigures) return; // the script is on the page twice
  // For pages that draw figures of their own, and for files of plots, which tell what they hold.
  window.bookFigures = { loadPlotly, canvas, csvOf, more: (name, plots) => told.set(name, plots) };
  const told = new Map();

  const NARROW = 560; // below this width in pixels, the key above the plot names the lines
  const here = document.currentScript ? document.currentScript.src : document.baseURI;
  const config = { displayModeBar: false, scrollZoom: false, doubleClick: false };

  function load(address) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${address} could not be loaded`));
      document.head.appendChild(script);
    });
  }

  async function loadPlotly() {
    if (!window.Plotly) await load(new URL("plotly.min.js", here).href);
  }

  // The plots of a chooser that the page itself does not hold.
  async function loadChoices(name, { choices, more }) {
    if (!told.has(name)) await load(more);
    told.get(name).forEach((plot, at) => (choices[at].plot ??= plot));
  }

  // Colours and letters of the page, so that the plot follows the theme.
  function themed(layout, figure, narrow) {
    const { color, fontFamily: family } = getComputedStyle(figure);
    const root = getComputedStyle(document.documentElement);
    const bgcolor = root.getPropertyValue("--pst-color-surface").trim() || "#f3f4f5";
    return {
      ...layout,
      font: { color, family },
      hoverlabel: { bgcolor, font: { color, family } },
      margin: narrow ? { ...layout.margin, r: 12 } : layout.margin,
      annotations: layout.annotations.filter((note) => !narrow || note.name !== "end-label"),
    };
  }

  // The plotted values of one choice as CSV, after the run's identity.
  function csvOf({ choice, title, plot }, { name, head }) {
    const plain = (text) => text?.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
    const cell = (value) => {
      const text = String(value ?? "");
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const rows = plot.data.filter((trace) => trace.meta).flatMap((trace) =>
      trace.x.map((x, at) => {
        const [n, low, high] = trace.customdata?.[at] ?? [];
        return [choice, trace.meta.panel, trace.name, x, plain(trace.text?.[at]), trace.y[at], low, high, n];
      }),
    );
    const columns = ["choice", "panel", "series", "x", "point", "y", "low", "high", "n"];
    const body = [columns, ...rows].map((row) => row.map(cell).join(",")).join("\n");
    return { text: `# figure: ${name}\n# title: ${title}\n${head}${body}\n`, rows: rows.length };
  }

  // The controls of a chooser. `show` gets each choice that is made.
  function choosing(figure, name, stored, show) {
    const { choices } = stored;
    const list = figure.querySelector(".figure-chooser select");
    const buttons = [...figure.querySelectorAll(".figure-chooser button")];
    const link = figure.querySelector(".figure-download");
    const usual = figure.querySelector(".figure-key").outerHTML;

    function words(choice) {
      const title = figure.querySelector(".figure-title"); // spoken aloud when it changes
      if (title.textContent !== choice.title) title.textContent = choice.title;
      figure.querySelector(".figure-note").textContent = choice.caption;
      figure.querySelector(".figure-key").outerHTML = choice.key ?? usual;
      figure.querySelector(".figure-interactive").setAttribute("aria-label", choice.alt);
      const { text, rows } = csvOf(choice, { name, head: stored.head });
      link.download = choice.file;
      link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`;
      link.textContent = `plotted data (CSV, ${rows} rows)`;
    }

    function choose(index) {
      if (!(index in choices)) return;
      if (!choices[index].plot) return loadChoices(name, stored).then(() => choose(index));
      list.value = String(index);
      for (const button of buttons) {
        const next = index + Number(button.dataset.step);
        button.setAttribute("aria-disabled", String(!(next in choices)));
      }
      words(choices[index]);
      return show(choices[index]);
    }

    list.addEventListener("change", () => choose(Number(list.value)));
    for (const button of buttons) {
      button.addEventListener("click", () => choose(Number(list.value) + Number(button.dataset.step)));
    }
    // On paper stands the picture of the default choice, so its words must stand there too.
    const paper = window.matchMedia("print");
    const printed = (on) => words(choices[on ? stored.default : Number(list.value)]);
    paper.addEventListener("change", () => printed(paper.matches));
    window.addEventListener("beforeprint", () => printed(true));
    window.addEventListener("afterprint", () => printed(false));
    return choose(stored.default);
  }

  // A place to draw in, which follows the theme and its own width; the result draws a content.
  function canvas(holder) {
    const figure = holder.closest(".book-figure");
    const plot = holder.appendChild(document.createElement("div"));
    let content = null;
    let state = ""; // what the drawing was made for

    // Draws unless all is as it was; a hidden figure waits until it is seen.
    async function draw(changed = false) {
      const width = figure.clientWidth;
      if (!content || !width || state === "failed") return;
      const narrow = width < NARROW;
      const wanted = `${width} ${getComputedStyle(figure).color}`;
      if (wanted === state && !changed) return;
      state = wanted;
      figure.classList.add("is-drawn");
      figure.classList.toggle("is-narrow", narrow);
      try {
        // Plotly changes what it is given, so every drawing gets a copy.
        const { data, layout } = structuredClone(content);
        const sized = { ...themed(layout, figure, narrow), width: plot.clientWidth };
        await window.Plotly.react(plot, data, sized, config);
      } catch (error) {
        state = "failed";
        figure.classList.remove("is-drawn", "is-narrow");
        console.warn(`figure ${figure.id}: the static picture is shown.`, error);
      }
    }

    new ResizeObserver(() => draw()).observe(figure);
    new MutationObserver(() => draw()).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
    return (next) => {
      content = next;
      return draw(true);
    };
  }

  function prepare(holder) {
    const figure = holder.closest(".book-figure");
    const stored = JSON.parse(holder.querySelector('script[type="application/json"]').textContent);
    const show = canvas(holder);
    if (!stored.choices) return show(stored);
    return choosing(figure, holder.dataset.figure, stored, (choice) => show(choice.plot));
  }

  async function start() {
    const holders = [...document.querySelectorAll(".figure-interactive[data-figure]")];
    if (!holders.length) return;
    try {
      await loadPlotly();
      for (const holder of holders) await prepare(holder);
      document.documentElement.classList.add("figures-ready");
    } catch (error) {
      console.warn("The figures stay static.", error);
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
