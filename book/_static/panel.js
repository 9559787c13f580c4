// Brings the panels to life: sliders, sentences, charts and the likeliest tokens. Everything is
// computed here, from the outline of the logits that the page carries. If anything fails, the
// static picture stays.
(() => {
  "use strict";

  if (window.bookPanels) return; // the script is on the page twice
  window.bookPanels = true;

  const here = document.currentScript ? document.currentScript.src : document.baseURI;
  const NARROW = 620; // below this width in pixels the charts stand one above the other
  const LOWEST = 1e-10; // what is smaller is not drawn

  const raised = (exponent) =>
    [...String(exponent)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("");

  // Three significant digits, as a power of ten where it is small or large; panel.py has the same.
  function number(value) {
    if (!Number.isFinite(value)) return "–";
    const [mantissa, exponent] = value.toExponential(2).split("e").map(Number);
    if (value && (exponent < -3 || exponent >= 5)) return `${mantissa} × 10${raised(exponent)}`;
    return String(Number(value.toPrecision(3)));
  }

  // The name of a number in the sentences: a reading, or one reading over another.
  function named(reading, name, nothing) {
    const [value, truth] = name.split("/").map((part) => reading[part]);
    if (truth === undefined) return value;
    return truth > nothing ? value / truth : NaN;
  }

  function settingTexts({ size, touched, temperature }, count) {
    const [some, all] = [touched, count].map((tokens) => tokens.toLocaleString("en"));
    return {
      size: `${size} in logits`,
      touched: `${some} of ${all} tokens`,
      temperature: `T = ${temperature}`,
    };
  }

  // The figures' script may be loading Plotly already; it is loaded once.
  function loadPlotly() {
    if (window.Plotly) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let script = document.querySelector('script[src*="plotly.min.js"]');
      if (!script) {
        script = document.createElement("script");
        script.src = new URL("plotly.min.js", here).href;
        document.head.appendChild(script);
      }
      script.addEventListener("load", () => resolve());
      script.addEventListener("error", () => reject(new Error("plotly.min.js is missing")));
    });
  }

  // The y axis of both charts: whole powers of ten around all that is drawn.
  function decades(charts, curve) {
    const names = charts.flatMap(([, , lines]) => lines.map(([name]) => name));
    const values = curve.flatMap((reading) => names.map((name) => reading[name]));
    const drawn = values.filter((value) => value > LOWEST).map(Math.log10);
    const low = Math.floor(Math.min(-4, ...drawn));
    const high = Math.ceil(Math.max(1, ...drawn));
    const powers = Array.from({ length: high - low + 1 }, (_, step) => low + step);
    const shown = powers.filter((power) => power % (powers.length > 6 ? 2 : 1) === 0);
    return {
      range: [10 ** low, 10 ** high],
      tickvals: shown.map((power) => 10 ** power),
      ticktext: shown.map((power) => (power ? `10${raised(power)}` : "1")),
    };
  }

  // Charts: two, side by side where there is room; Plotly draws what this describes.
  function charts(content, curve, current, panel) {
    const width = panel.clientWidth;
    const narrow = width < NARROW;
    const page = getComputedStyle(panel);
    const grid = "rgba(128,128,128,0.28)";
    const layout = {
      height: narrow ? 620 : 360,
      margin: { l: 52, r: 12, t: 46, b: 48 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { size: 13, color: page.color, family: page.fontFamily },
      showlegend: false,
      dragmode: false,
      hovermode: "closest",
      shapes: [],
      annotations: [],
    };
    const traces = [];
    const axis = ({ range, tickvals, ticktext }) => ({
      ...{ type: "log", range: range.map(Math.log10), tickvals, ticktext, fixedrange: true },
      ...{ gridcolor: grid, linecolor: grid, showline: true, zeroline: false, tickangle: 0 },
    });
    const upAxis = axis(decades(content.charts, curve));
    content.charts.forEach(([title, label, lines], index) => {
      const suffix = index ? "2" : "";
      const across = narrow ? [0, 1] : [[0, 0.45], [0.55, 1]][index];
      const upright = narrow ? [[0.6, 1], [0, 0.4]][index] : [0, 1];
      layout[`xaxis${suffix}`] = {
        ...axis(content.x_axis),
        ...{ domain: across, anchor: `y${suffix}` },
        title: { text: content.x_axis.title, standoff: 6, font: { size: 13 } },
      };
      layout[`yaxis${suffix}`] = {
        ...upAxis,
        ...{ domain: upright, anchor: `x${suffix}` },
      };
      layout.annotations.push({
        text: `<b>${title}</b><br>${label}`,
        ...{ x: across[0], xref: "paper", xanchor: "left", xshift: -46, align: "left" },
        ...{ y: upright[1], yref: "paper", yanchor: "bottom", yshift: 4, showarrow: false },
      });
      layout.shapes.push({
        ...{ type: "line", x0: current.size, x1: current.size, y0: 0, y1: 1 },
        ...{ xref: `x${suffix}`, yref: `y${suffix} domain` },
        line: { color: page.color, width: 1, dash: "dot" },
      });
      const place = { type: "scatter", xaxis: `x${suffix}`, yaxis: `y${suffix}` };
      for (const [name, text, quantity] of lines) {
        const { color, width: stroke, dash, symbol, size, hollow } = content.looks[quantity];
        const shown = (value) => (value > 0 ? value : null); // a log axis has no zero
        traces.push({
          ...place,
          mode: "lines",
          name: text,
          x: curve.map((reading) => reading.size),
          y: curve.map((reading) => shown(reading[name])),
          line: { color, width: stroke, dash },
          hovertemplate: `<b>${text}</b><br>size %{x:.3g}<br>%{y:.3g}<extra></extra>`,
        });
        const fill = hollow ? "rgba(0,0,0,0)" : color;
        traces.push({
          ...place,
          mode: "markers",
          cliponaxis: false,
          x: [current.size],
          y: [shown(current[name])],
          marker: { symbol, size, color: fill, line: { color, width: 1.6 } },
          hoverinfo: "skip",
        });
      }
    });
    return [traces, layout, { responsive: true, displayModeBar: false, doubleClick: false }];
  }

  // The likeliest tokens before and after, and all others together.
  function tokenList(holder, tokens, count) {
    holder.innerHTML = "<p>Probability of the likeliest tokens, before (upper bar) → after (lower bar)</p><ul></ul>";
    const rows = [...tokens, `${(count - tokens.length).toLocaleString("en")} others`].map((name) => {
      const row = document.createElement("li");
      row.innerHTML =
        '<span class="panel-token"></span>' +
        '<span class="panel-bars" aria-hidden="true"><i></i><i></i></span>' +
        '<span class="panel-shares"></span>';
      row.firstElementChild.textContent = name;
      holder.lastElementChild.append(row);
      return row;
    });
    const percent = (share) => `${(100 * share).toFixed(1)}%`;
    return ({ before, after }) => {
      const shares = tokens.map((_, token) => [before(token), after(token)]);
      const left = (side) => Math.max(0, shares.reduce((rest, both) => rest - both[side], 1));
      shares.push([left(0), left(1)]);
      rows.forEach((row, index) => {
        row.lastElementChild.textContent = shares[index].map(percent).join(" → ");
        row.querySelectorAll("i").forEach((bar, side) => {
          bar.style.width = percent(shares[index][side]);
        });
      });
    };
  }

  // Under the slider of the size: a bar where real prunings lie.
  function markReal(slider, sizes, [low, high]) {
    const place = (value) => {
      const [first, last] = [sizes[0], sizes[sizes.length - 1]];
      const share = Math.log(value / first) / Math.log(last / first);
      return Math.min(1, Math.max(0, share));
    };
    const bar = document.createElement("span");
    bar.className = "panel-real";
    bar.style.setProperty("--from", place(low));
    bar.style.setProperty("--to", place(high));
    bar.append(document.createElement("i"));
    slider.after(bar);
  }

  function prepare(panel) {
    const { normalDraws, logits, prepare: state, reading } = window.softmaxPanel;
    const live = panel.querySelector(".panel-live");
    const content = JSON.parse(live.querySelector('script[type="application/json"]').textContent);
    const plot = live.querySelector(".panel-plot");
    const button = live.querySelector(".panel-draw button");
    const sliders = [...live.querySelectorAll("input[data-control]")];
    const z = logits(content.state);
    let seed = 0;
    let draws = normalDraws(z.length, seed);
    let known = ""; // what the curve was computed for
    let curve = [];
    let drawn = false;
    let waiting = false;
    let last = 0; // width at the last drawing

    for (const slider of sliders) {
      slider.max = content.choices[slider.dataset.control].length - 1;
      slider.value = content.start[slider.dataset.control];
    }
    const size = sliders.find((slider) => slider.dataset.control === "size");
    if (content.real) markReal(size, content.choices.size, content.real);
    live.hidden = false;
    const tokens = live.querySelector(".panel-tokens");
    const showTokens = content.tokens.length ? tokenList(tokens, content.tokens, z.length) : () => {};

    function setting() {
      const chosen = ({ dataset, value }) => content.choices[dataset.control][Number(value)];
      return Object.fromEntries(sliders.map((slider) => [slider.dataset.control, chosen(slider)]));
    }

    async function draw() {
      const now = setting();
      const wanted = `${seed} ${now.touched} ${now.temperature}`;
      if (wanted !== known) {
        const prepared = state(z, draws, now.touched, now.temperature);
        curve = content.choices.size.map((size) => reading(prepared, size));
        known = wanted;
      }
      const current = curve[content.choices.size.indexOf(now.size)];
      const texts = settingTexts(now, z.length);
      for (const slider of sliders) {
        slider.setAttribute("aria-valuetext", texts[slider.dataset.control]);
        slider.labels[0].parentElement.querySelector("output").textContent =
          texts[slider.dataset.control];
      }
      live.querySelector(".panel-draw output").textContent = `draw ${seed + 1}`;
      for (const place of live.querySelectorAll("data[data-reading]")) {
        const value = named(current, place.dataset.reading, content.nothing);
        place.value = Number.isFinite(value) ? value : "";
        place.textContent = number(value);
      }
      showTokens(current);
      last = panel.clientWidth;
      if (!last) return; // hidden: drawn when it is seen
      panel.classList.add("is-live");
      await window.Plotly[drawn ? "react" : "newPlot"](plot, ...charts(content, curve, current, panel));
      drawn = true;
      panel.dataset.drawn = `${wanted} ${now.size}`;
    }

    function fail(error) {
      live.hidden = true;
      panel.classList.remove("is-live");
      console.warn(`${panel.id}: the static picture is shown.`, error);
    }

    // At most once a frame, however fast a slider moves.
    function redraw() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        draw().catch(fail);
      });
    }

    for (const slider of sliders) slider.addEventListener("input", redraw);
    button.addEventListener("click", () => {
      seed += 1;
      draws = normalDraws(z.length, seed);
      redraw();
    });
    new ResizeObserver(() => panel.clientWidth !== last && redraw()).observe(panel);
    new MutationObserver(redraw).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
    redraw();
  }

  async function start() {
    const panels = [...document.querySelectorAll("figure.book-panel")];
    if (!panels.length) return;
    try {
      await loadPlotly();
    } catch (error) {
      console.warn("The panels stay static.", error);
      return;
    }
    for (const panel of panels) {
      try {
        prepare(panel);
      } catch (error) {
        console.warn(`${panel.id}: the static picture is shown.`, error);
      }
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
