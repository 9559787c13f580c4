// Draws the book's figures. Each one carries its plot as JSON and a static picture; this script
// loads Plotly from its own folder, only on pages that have a figure, and swaps the two. If
// anything fails, the picture stays.
(() => {
  "use strict";

  if (window.bookFigures) return; // the script is on the page twice
  // For pages that draw figures of their own, and for files of plots, which tell what they hold.
  window.bookFigures = { loadPlotly, canvas, csvOf, arranged, more: (name, plots) => told.set(name, plots) };
  const told = new Map();

  const NARROW = 560; // below this width in pixels, the key above the plot names the lines
  const WIDE = 900; // from this width on, panels stand side by side where their words have room
  const PLOT = 230; // the narrowest axes that leave room for names at the lines' ends
  const CHOSEN = "book-figure-chosen"; // event: a list of one figure has another choice
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
  function themed(layout, figure) {
    const { color, fontFamily: family } = getComputedStyle(figure);
    const root = getComputedStyle(document.documentElement);
    const bgcolor = root.getPropertyValue("--pst-color-surface").trim() || "#f3f4f5";
    return { ...layout, font: { color, family }, hoverlabel: { bgcolor, font: { color, family } } };
  }

  // Without the names at the lines' ends, which the key then gives.
  function keyed(layout, r = 12) {
    const annotations = layout.annotations.filter((note) => note.name !== "end-label");
    return { ...layout, annotations, margin: { ...layout.margin, r } };
  }

  // In how many columns the panels stand: as many as their words leave room for.
  function columnsOf({ meta }, count, width) {
    if (!meta || width < WIDE) return 1;
    const wanted = count < 4 ? count : count === 4 ? 2 : 3;
    return Math.max(1, Math.min(wanted, Math.floor(width / meta.words)));
  }

  // The layout, made for panels below one another, for the width that there is; and whether the
  // key has to name the lines.
  function arranged(layout, width) {
    if (width < NARROW) return [keyed(layout), true];
    const names = Object.keys(layout).filter((name) => name.startsWith("xaxis"));
    const columns = columnsOf(layout, names.length, width);
    if (columns === 1) return [layout, false];
    const step = width / columns;
    const spare = step - layout.margin.l - layout.margin.r;
    const made = structuredClone(spare < PLOT ? keyed(layout, 20) : layout);
    const { panel, above, below } = layout.meta;
    const { l, r } = made.margin;
    const rows = Math.ceil(names.length / columns);
    const inner = { across: width - l - r, up: rows * (panel + above + below) - above - below };
    made.height = inner.up + above + below;
    names.forEach((name, index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      const left = column * step;
      const top = inner.up - row * (panel + above + below);
      made[name].domain = [left / inner.across, (left + step - l - r) / inner.across];
      made[name.replace("x", "y")].domain = [(top - panel) / inner.up, top / inner.up];
      const said = names.slice(index).find((other) => layout[other].title); // told for all above it
      made[name].title = layout[said]?.title;
    });
    return [made, spare < PLOT];
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
        const y = trace.meta.grounded?.[at] ?? trace.y[at];
        return [choice, trace.meta.panel, trace.name, x, plain(trace.text?.[at]), y, low, high, n];
      }),
    );
    const columns = ["choice", "panel", "series", "x", "point", "y", "low", "high", "n"];
    const body = [columns, ...rows].map((row) => row.map(cell).join(",")).join("\n");
    return { text: `# figure: ${name}\n# title: ${title}\n${head}${body}\n`, rows: rows.length };
  }

  // The controls of a chooser, one list or several. `show` gets each choice that is made.
  function choosing(figure, name, stored, show) {
    const { choices } = stored;
    const lists = [...figure.querySelectorAll(".figure-chooser select")];
    const buttons = [...figure.querySelectorAll(".figure-chooser button")];
    const link = figure.querySelector(".figure-download");
    const usual = figure.querySelector(".figure-key").outerHTML;
    const place = () => lists.reduce((at, list) => at * list.length + list.selectedIndex, 0);

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

    function chosen() {
      if (!choices[place()].plot) return loadChoices(name, stored).then(chosen);
      for (const button of buttons) {
        const [list, step] = listOf(button);
        button.setAttribute("aria-disabled", String(!list.options[list.selectedIndex + step]));
      }
      words(choices[place()]);
      return show(choices[place()]);
    }

    function listOf(button) {
      return [button.parentElement.querySelector("select"), Number(button.dataset.step)];
    }

    // Every list of the page with this label follows, where it has the same choice.
    function tell(list) {
      chosen();
      document.dispatchEvent(new CustomEvent(CHOSEN, { detail: list }));
    }

    function follow({ detail: other }) {
      const wanted = other.selectedOptions[0].text;
      for (const list of lists) {
        if (list === other || list.labels[0].textContent !== other.labels[0].textContent) continue;
        const option = [...list.options].find(({ text }) => text === wanted);
        if (!option || option.selected) continue;
        option.selected = true;
        chosen();
      }
    }

    for (const list of lists) list.addEventListener("change", () => tell(list));
    document.addEventListener(CHOSEN, follow);
    for (const button of buttons) {
      button.addEventListener("click", () => {
        const [list, step] = listOf(button);
        if (!list.options[list.selectedIndex + step]) return;
        list.selectedIndex += step;
        tell(list);
      });
    }
    // On paper stands the picture of the default choice, so its words must stand there too.
    const paper = window.matchMedia("print");
    const printed = (on) => words(choices[on ? stored.default : place()]);
    paper.addEventListener("change", () => printed(paper.matches));
    window.addEventListener("beforeprint", () => printed(true));
    window.addEventListener("afterprint", () => printed(false));
    return chosen();
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
      const wanted = `${width} ${getComputedStyle(figure).color}`;
      if (wanted === state && !changed) return;
      state = wanted;
      figure.classList.add("is-drawn");
      try {
        // Plotly changes what it is given, so every drawing gets a copy.
        const { data, layout } = structuredClone(content);
        const [made, named] = arranged(layout, plot.clientWidth);
        figure.classList.toggle("is-keyed", named);
        const sized = { ...themed(made, figure), width: plot.clientWidth };
        await window.Plotly.react(plot, data, sized, config);
      } catch (error) {
        state = "failed";
        figure.classList.remove("is-drawn", "is-keyed");
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
    let shown = stored;
    for (const button of figure.querySelectorAll(".figure-save")) {
      button.addEventListener("click", () => window.bookPictures.save(figure, shown, button.dataset.as));
    }
    if (!stored.choices) return show(stored);
    return choosing(figure, holder.dataset.figure, stored, (choice) => {
      shown = choice.plot;
      return show(shown);
    });
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
