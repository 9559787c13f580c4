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

  // A chooser's choices, in which {"$": index} stands for a part of the pool.
  function unpooled({ content, pool }) {
    const whole = (part) => {
      if (Array.isArray(part)) return part.map(whole);
      if (part === null || typeof part !== "object") return part;
      if ("$" in part) return whole(pool[part.$]);
      return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, whole(value)]));
    };
    return content.map((part) => () => whole(part));
  }

  // Three digits that count, with powers of ten as a person writes them.
  function short(value) {
    if (value === 0 || (Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6)) {
      return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
    }
    const [mantissa, exponent] = value.toExponential(2).split("e");
    const raised = [...exponent.replace("+", "")].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
    return `${Number(mantissa)}×10${raised.join("")}`;
  }

  const each = (list, index) => (Array.isArray(list) ? list[index] : list);
  const known = (value) => value !== null && value !== undefined;

  const escaped = (text) =>
    text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);

  function hover(line, index) {
    const [x, y] = [line.x[index], line.y[index]];
    if (!known(y)) return "";
    const where = line.where ? escaped(line.where[index]) : `x = ${short(x)}`;
    const rows = [`<b>${line.hover}</b>`, where];
    rows.push(line.cloud ? `x = ${short(x)}, y = ${short(y)}` : `${line.value} ${short(y)}`);
    const [low, high] = [each(line.low, index), each(line.high, index)];
    if (known(low) && known(high)) rows.push(`low ${short(low)}, high ${short(high)}`);
    if (known(line.n)) rows.push(`n = ${each(line.n, index)}`);
    return rows.join("<br>");
  }

  // A band as closed outlines, one for each run of points that has both edges.
  function band(line) {
    const [x, y] = [[], []];
    let run = [];
    for (let index = 0; index <= line.x.length; index += 1) {
      const point = [line.x[index], line.low[index], line.high[index]];
      if (point.every(known)) {
        run.push(point);
      } else if (run.length) {
        const back = [...run].reverse();
        if (x.length) [x, y].forEach((list) => list.push(null));
        x.push(...run.map((at) => at[0]), ...back.map((at) => at[0]));
        y.push(...run.map((at) => at[1]), ...back.map((at) => at[2]));
        run = [];
      }
    }
    const look = { type: "scatter", mode: "lines", fill: "toself", hoverinfo: "skip" };
    return { ...look, x, y, fillcolor: line.fill, line: { width: 0 } };
  }

  // One choice as Plotly's data and layout.
  function plotOf({ panels, layout }) {
    const data = panels.flatMap(({ axis, guides, lines }) => {
      const axes = { xaxis: `x${axis}`, yaxis: `y${axis}` };
      const traces = lines.map((line) => {
        const customdata = line.x.map((_, index) => hover(line, index));
        return { ...line.trace, x: line.x, y: line.y, customdata };
      });
      const bands = lines.filter((line) => line.fill && line.low).map(band);
      return [...guides, ...bands, ...traces].map((trace) => ({ ...trace, ...axes }));
    });
    return { data, layout };
  }

  // The plotted values of one choice as CSV, after the run's identity.
  function csvOf({ choice, title, panels }, { name, head }) {
    const cell = (value) => {
      const text = known(value) ? String(value) : "";
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const rows = panels.flatMap((panel) =>
      panel.lines.flatMap((line) =>
        line.x.map((x, index) => {
          const point = known(line.where) ? line.where[index] : null;
          const values = [line.y[index], each(line.low, index), each(line.high, index)];
          return [choice, panel.title, line.name, x, point, ...values, each(line.n, index)];
        }),
      ),
    );
    const columns = ["choice", "panel", "series", "x", "point", "y", "low", "high", "n"];
    const facts = `# figure: ${name}\n# title: ${title}\n${head}`;
    const body = [columns, ...rows].map((row) => row.map(cell).join(",")).join("\n");
    return { text: `${facts}${body}\n`, rows: rows.length };
  }

  // The controls of a chooser. `show` gets the plot of each choice that is made later; the first
  // one is returned.
  function choosing(figure, holder, packed, show) {
    const choices = unpooled(packed.chooser);
    const controls = figure.querySelector(".figure-chooser");
    const list = controls.querySelector("select");
    const buttons = [...controls.querySelectorAll("button")];
    const link = figure.querySelector(".figure-download");
    const name = holder.dataset.figure;

    function words(choice) {
      const title = figure.querySelector(".figure-title"); // spoken aloud when it changes
      if (title.textContent !== choice.title) title.textContent = choice.title;
      figure.querySelector(".figure-note").textContent = choice.caption;
      figure.querySelector(".figure-key").outerHTML = choice.key;
      holder.setAttribute("aria-label", choice.alt);
      const { text, rows } = csvOf(choice, { name, head: packed.head });
      const run = packed.run.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^-+|-+$/g, "");
      link.download = `${[name, choice.slug, run].filter(Boolean).join("-")}.csv`;
      link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`;
      link.textContent = `plotted data (CSV, ${rows} rows)`;
    }

    function choose(index) {
      const choice = choices[index]();
      list.value = String(index);
      buttons.forEach((button) => {
        const next = index + Number(button.dataset.step);
        button.setAttribute("aria-disabled", String(!(next in choices)));
      });
      words(choice);
      return plotOf(choice);
    }

    list.addEventListener("change", () => show(choose(Number(list.value))));
    buttons.forEach((button) => {
      button.addEventListener("click", () => {
        const next = Number(list.value) + Number(button.dataset.step);
        if (next in choices) show(choose(next));
      });
    });
    // On paper stands the picture of the default choice, so its words must stand there too.
    const paper = window.matchMedia("print");
    const printed = (on) => words(choices[on ? packed.default : Number(list.value)]());
    paper.addEventListener("change", () => printed(paper.matches));
    window.addEventListener("beforeprint", () => printed(true));
    window.addEventListener("afterprint", () => printed(false));
    return { plot: choose(packed.default), reset: () => words(choices[packed.default]()) };
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
    const stored = JSON.parse(holder.querySelector('script[type="application/json"]').textContent);
    let content = stored;
    let choice = null;
    let state = "";
    let last = 0;
    let failed = false;
    let changed = false;

    function fail(error) {
      failed = true;
      if (choice) choice.reset();
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
      if (wanted === state && !changed) return;
      changed = false;
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
    if (stored.chooser) {
      choice = choosing(figure, holder, stored, (chosen) => {
        content = chosen;
        changed = true;
        safely();
      });
      content = choice.plot;
    }
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
