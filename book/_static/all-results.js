// Draws *All results*: the reader chooses, a file of numbers is loaded, its lines are drawn. What is
// chosen stands in the address. The page's catalogue says what there is; see workflow/pages.
(() => {
  "use strict";

  if (window.bookResults) return; // the script is on the page twice

  const here = document.currentScript ? document.currentScript.src : document.baseURI;
  const MOST = 40; // lines in one figure
  const BANDED = 8; // lines with bands, which would hide each other
  const PANEL = { attention: "Attention", mlp: "MLP", block: "Block", model: "Whole model" };
  const loaded = new Map(); // numbers by the name of their file

  window.bookResults = (name, numbers) => loaded.set(name, numbers);

  function load(name) {
    if (loaded.has(name)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(`all-results/${name}.js`, here).href;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${name}.js could not be loaded`));
      document.head.appendChild(script);
    });
  }

  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  async function start() {
    const holder = document.querySelector("[data-results]");
    if (!holder) return;
    const figure = holder.closest("figure");
    const { profile, families, template, looks } = JSON.parse(holder.querySelector("script").textContent);
    const say = (text) => {
      figure.querySelector(".figure-title").textContent = text;
    };
    if (!families.length) return say("No run of this book has measured anything yet.");

    // The choice: a family, an axis of it, what the lines are, and a value of each other dimension.
    let family, axis, lines, values;

    const dim = (name) => axis.dims.find((one) => one.name === name);
    const place = (name) => axis.dims.findIndex((one) => one.name === name);
    const isPanel = (name) => name === "sublayer" || name === "unit";
    const anyOf = (name) => dim(name).values.indexOf("–");
    const open = (one) => one.values.filter((value) => value !== "–").length > 1; // to be chosen
    const chosen = () => axis.dims.filter((one) => !isPanel(one.name) && !lines.includes(one.name));

    // Sets what was asked for, and else keeps what was chosen before, as far as it exists.
    function choose(asked) {
      family = families.find((one) => one.name === asked.measured) ?? families[0];
      axis = family.axes.find((one) => one.name === asked.over) ?? family.axes[0];
      const named = (asked.lines ?? "").split("+").filter((name) => dim(name) && !isPanel(name));
      lines = named.length ? named : axis.lines;
      const wish = {};
      for (const { name, values: known } of axis.dims) {
        const at = known.indexOf(asked[name]);
        if (at >= 0) wish[name] = at;
      }
      // Of all that exists, what is nearest to the wish; the last choice counts most.
      const weigh = (kind) =>
        axis.kind_names.reduce((sum, name, at) => {
          if (lines.includes(name) || !(name in wish)) return sum;
          const same = kind[at] === wish[name] || kind[at] === anyOf(name);
          return sum + (same ? (name === asked.changed ? 1000 : 10) : 0);
        }, 0);
      const best = axis.kinds.reduce((one, other) => (weigh(other) > weigh(one) ? other : one));
      values = {};
      for (const { name } of chosen()) {
        const at = axis.kind_names.indexOf(name);
        values[name] = at < 0 ? (wish[name] ?? 0) : best[at];
        if (at >= 0 && values[name] === anyOf(name) && name in wish) values[name] = wish[name];
      }
    }

    const text = (name) => dim(name).values[values[name]];
    const address = () => {
      const told = chosen().filter(open).map(({ name }) => [name, text(name)]);
      const own = [["measured", family.name], ["over", axis.name], ["lines", lines.join("+")]];
      return new URLSearchParams([...own, ...told]);
    };
    const fromAddress = () => Object.fromEntries(new URLSearchParams(window.location.hash.slice(1)));

    // Controls: lists with labels, made anew where other things can be chosen.
    const box = figure.querySelector(".results-choices");
    function list(name, label, options, value, change) {
      const entry = document.createElement("div");
      const words = entry.appendChild(document.createElement("label"));
      const select = entry.appendChild(document.createElement("select"));
      select.name = name;
      select.id = words.htmlFor = `all-results-${name}`;
      words.textContent = label;
      for (const [key, text] of options) select.add(new Option(text, key, false, key === value));
      select.addEventListener("change", () => change(select.value));
      return entry;
    }

    function controls() {
      const focused = box.contains(document.activeElement) ? document.activeElement.name : "";
      const again = (more) => update({ ...Object.fromEntries(address()), ...more });
      const told = (one, value) => {
        const said = one.said?.[one.values.indexOf(value)]?.[0] ?? value;
        const every = { category: "all prompts", family: "all questions" }[one.name];
        return value === "all" && every ? every : said;
      };
      const several = axis.dims.filter((one) => open(one) && !isPanel(one.name));
      const ways = [axis.lines, ["method", "amount"], ...several.map((one) => [one.name])]
        .filter((way) => way.every((name) => several.some((one) => one.name === name)))
        .map((way) => [way.join("+"), way.map((name) => dim(name).label).join(" and ")]);
      if (!ways.some(([key]) => key === lines.join("+"))) {
        ways.unshift([lines.join("+"), lines.map((name) => dim(name).label).join(" and ")]);
      }
      const unique = [...new Map(ways)];
      box.replaceChildren(
        list("measured", "Measured", families.map((one) => [one.name, one.title]), family.name,
          (value) => update({ ...fromAddress(), measured: value, over: "", lines: "" })),
        list("over", "Over", family.axes.map((one) => [one.name, one.label]), axis.name,
          (value) => again({ over: value, lines: "" })),
        list("lines", "A line for each", unique, lines.join("+"), (value) => again({ lines: value })),
        ...chosen()
          .filter(open)
          .map((one) => {
            const options = one.values.filter((value) => value !== "–" || value === text(one.name));
            return list(one.name, capital(one.label), options.map((value) => [value, told(one, value)]),
              text(one.name), (value) => again({ [one.name]: value, changed: one.name }));
          }),
      );
      if (focused) box.querySelector(`[name="${focused}"]`)?.focus();
    }

    // The lines of the choice, out of the files that may hold some.
    async function found() {
      const fits = (name, at) =>
        !(name in values) || at === values[name] || (at === anyOf(name) && at >= 0);
      const wanted = axis.files.filter(({ at }) =>
        Object.entries(at).every(([name, value]) => fits(name, value)));
      await Promise.all(wanted.map(({ file }) => load(file)));
      const all = wanted.flatMap(({ file }) => {
        const { x, lines: stored } = loaded.get(file);
        return stored.map(([key, at, y, low, high, n]) => ({ key, x: x[at], y, low, high, n }));
      });
      const names = axis.dims.map((one) => one.name);
      const own = all.filter(({ key }) => key.every((at, index) => fits(names[index], at)));
      own.sort((one, other) => {
        const [a, b] = [one, other].map(({ key }) => lines.map((name) => key[place(name)]));
        return a.map((at, index) => at - b[index]).find((difference) => difference) ?? 0;
      });
      return own;
    }

    const show = window.bookFigures.canvas(holder);

    function scaleOf() {
      const metric = dim("metric");
      const one = metric && values.metric !== undefined;
      const [label, scale] = one ? metric.said[values.metric] : [family.value, "linear"];
      const change = dim("shown") && values.shown !== undefined && text("shown") === "change from dense";
      return { label: change ? `${label}, pruned − dense` : label, scale: change ? "linear" : scale };
    }

    // Marks at some of the places where there are points, and room at both ends.
    function ticks(xs, share, whole) {
      const every = [...new Set(xs)].sort((a, b) => a - b);
      if (axis.log) {
        const some = every.filter((_, at) => at % Math.ceil(every.length / 6) === 0);
        return { tickmode: "array", tickvals: some, ticktext: some.map((x) => x.toLocaleString("en")) };
      }
      if (share) return { tickformat: ".0%", nticks: 6, range: [-0.03, Math.max(...every) + 0.03] };
      if (!whole) return { nticks: 7 };
      const [first, last] = [every[0], every.at(-1)];
      const apart = [1, 2, 5, 10, 20, 50].find((step) => (last - first) / step <= 7) ?? 100;
      const room = Math.max(0.5, (last - first) * 0.03);
      return { dtick: apart, tick0: 0, range: [first - room, last + room] };
    }

    // A logarithmic axis around all values: powers of ten, between them 2 and 5 where there is room,
    // written out as in the other figures unless they are tiny or huge.
    function decades(all) {
      const range = [Math.log10(Math.min(...all)) - 0.05, Math.log10(Math.max(...all)) + 0.05];
      const span = range[1] - range[0];
      const apart = Math.ceil(span / 6);
      const powers = [];
      for (let power = Math.floor(range[0]); power <= range[1]; power += 1) powers.push(power);
      const factors = span < 0.7 ? [1, 2, 3, 4, 5, 6, 8] : span < 1.6 ? [1, 2, 5] : [1];
      const marks = powers
        .filter((power) => power % apart === 0)
        .flatMap((power) => factors.map((factor) => [factor, power]))
        .filter(([factor, power]) => factor * 10 ** power >= 10 ** range[0]);
      const plain = marks.every(([, power]) => power >= -3 && power <= 4);
      const words = ([factor, power]) => {
        if (plain) return (factor * 10 ** power).toLocaleString("en", { maximumFractionDigits: 6 });
        const raised = power === 0 ? "1" : power === 1 ? "10" : `10<sup>${String(power).replace("-", "−")}</sup>`;
        return factor === 1 ? raised : `${factor}×${raised}`;
      };
      const tickvals = marks.map(([factor, power]) => factor * 10 ** power);
      return { range, tickmode: "array", tickvals, ticktext: marks.map(words) };
    }

    function plotted(own) {
      const panels = [...new Set(own.map(({ key }) => key[place("sublayer")] ?? -1))].sort((a, b) => a - b);
      const units = axis.name === "amount" && dim("unit") ? [...new Set(own.map(({ key }) => key[place("unit")]))].sort() : [-1];
      const cells = units.flatMap((unit) => panels.map((panel) => ({ unit, panel })));
      const names = [...new Set(own.map(({ key }) => lines.map((name) => key[place(name)]).join()))];
      const { label, scale } = scaleOf();
      const banded = names.length <= BANDED;
      const edges = banded ? own.flatMap(({ low, high }) => [...(low || []), ...(high || [])]) : [];
      const heights = own.flatMap(({ y }) => y).filter((value) => value !== null);
      const log = scale === "log" && heights.some((value) => value > 0);
      const all = [...heights, ...edges].filter((value) => value > 0);
      const zeros = log ? heights.filter((value) => value <= 0).length : 0;
      const data = [];
      const layout = { template, annotations: [], showlegend: false, hovermode: "closest", dragmode: false };
      const height = 250;
      const gap = 92;
      const total = cells.length * height + (cells.length - 1) * gap;
      cells.forEach(({ unit, panel }, row) => {
        const end = row ? String(row + 1) : "";
        const top = 1 - (row * (height + gap)) / total;
        const xs = own.filter(({ key }) => unit < 0 || key[place("unit")] === unit).flatMap(({ x }) => x);
        const share = unit >= 0 && dim("unit").values[unit].startsWith("share");
        layout[`yaxis${end}`] = {
          domain: [top - height / total, top],
          type: log ? "log" : "linear",
          anchor: `x${end}`,
          ...(row && units.length === 1 ? { matches: "y" } : {}),
          ...(log ? decades(all) : { nticks: 6 }),
        };
        layout[`xaxis${end}`] = {
          type: axis.log ? "log" : "linear",
          anchor: `y${end}`,
          title: { text: unit < 0 ? axis.label : dim("unit").values[unit] },
          ...ticks(xs, share, axis.whole || (unit >= 0 && !share)),
        };
        const title = panel < 0 ? "" : (PANEL[dim("sublayer").values[panel]] ?? dim("sublayer").values[panel]);
        layout.annotations.push({
          text: `${title ? `<b>${title}</b><br>` : ""}${escaped(label)}`,
          x: 0, xref: "paper", xshift: -52, xanchor: "left", align: "left", showarrow: false,
          y: top, yref: "paper", yanchor: "bottom", yshift: 7,
        });
        for (const one of own) {
          if ((one.key[place("sublayer")] ?? -1) !== panel) continue;
          if (unit >= 0 && one.key[place("unit")] !== unit) continue;
          const name = lines.map((each) => one.key[place(each)]).join();
          const look = lookOf(one.key, names.indexOf(name));
          const axes = { xaxis: `x${end}`, yaxis: `y${end}` };
          const keep = one.x.map((x, at) => at).filter((at) => one.y[at] !== null && (!log || one.y[at] > 0) && (!axis.log || one.x[at] > 0));
          const pick = (list) => keep.map((at) => list[at]);
          if (one.low && banded) {
            const there = keep.filter((at) => one.low[at] !== null && (!log || one.low[at] > 0));
            const around = [...there, ...there.toReversed()];
            data.push({
              ...axes, mode: "lines", hoverinfo: "skip", fill: "toself", line: { width: 0 },
              x: around.map((at) => one.x[at]),
              y: around.map((at, turn) => (turn < there.length ? one.low[at] : one.high[at])),
              fillcolor: faint(look.line.color),
            });
          }
          const words = labelOf(one.key);
          const told = one.low ? "<br>95% interval %{customdata[1]:.3~g} to %{customdata[2]:.3~g}" : "";
          data.push({
            ...axes, mode: keep.length > 40 ? "lines" : "lines+markers", name: words,
            meta: { panel: [title, unit < 0 ? "" : dim("unit").values[unit]].filter(Boolean).join(", ") },
            x: pick(one.x), y: pick(one.y), line: look.line, marker: look.marker,
            customdata: keep.map((at) => [Array.isArray(one.n) ? one.n[at] : one.n, ...(one.low ? [one.low[at], one.high[at]] : [])]),
            hovertemplate: `${escaped(words)}<br>${escaped(axis.label)} %{x}: %{y:.4~g}${told}<br>n = %{customdata[0]}<extra></extra>`,
          });
        }
      });
      layout.height = total + 52 + 56;
      layout.margin = { l: 60, r: 16, t: 52, b: 56 };
      return { data, layout, names, zeros, label };
    }

    const faint = (colour) => {
      const part = (at) => Number.parseInt(colour.slice(at, at + 2), 16);
      return `rgba(${part(1)},${part(3)},${part(5)},0.15)`;
    };
    const labelOf = (key) => lines.map((name) => {
      const value = dim(name).values[key[place(name)]];
      return name === "metric" ? dim(name).said[key[place(name)]][0] : value;
    }).filter((words) => words !== "none").join(", ");
    const lookOf = (key, at) => {
      const named = lines.length === 1 && looks.named[dim(lines[0]).values[key[place(lines[0])]]];
      return named || looks.others[at % looks.others.length];
    };

    let latest = 0;
    async function draw() {
      const number = ++latest;
      let own;
      try {
        own = await found();
      } catch (error) {
        return say(`The numbers could not be loaded: ${error.message}`);
      }
      if (number !== latest) return; // another choice was made meanwhile
      const every = own.length;
      own = own.slice(0, MOST);
      const { data, layout, names, zeros, label } = plotted(own);
      const told = chosen()
        .filter((one) => open(one) && one.name !== "metric")
        .map((one) => `${one.label}: ${text(one.name)}`);
      const title = `${family.title}: ${label} over ${axis.label}`;
      say(title);
      const notes = [
        told.length ? `${capital(told.join(" · "))}.` : "",
        every > MOST ? `The first ${MOST} of ${every} lines are drawn.` : "",
        zeros ? `Points at or below zero, which a logarithmic axis does not show: ${zeros}.` : "",
        own.length ? "" : "There are no numbers for this choice.",
        own.some((one) => one.low) && names.length > BANDED ? "Intervals are shown on asking for a point, since so many bands would hide each other." : "",
      ];
      figure.querySelector(".figure-note").textContent = notes.filter(Boolean).join(" ");
      figure.querySelector(".figure-key").innerHTML = [...new Map(own.map(({ key }) => [labelOf(key), lookOf(key, names.indexOf(lines.map((name) => key[place(name)]).join()))]))]
        .map(([words, look]) => `<li>${look.swatch} ${escaped(words)}</li>`).join("");
      const made = figure.querySelector(".figure-provenance details");
      made.hidden = false;
      made.querySelector("summary").textContent = `Run: profile ${profile}, measurements: ${family.runs.length}`;
      made.querySelector("p").textContent = family.runs.join(", ");
      const facts = [`profile: ${profile}`, `measured: ${family.title}`, `over: ${axis.label}`, ...told];
      const head = [...facts, `measurements: ${family.runs.join(", ")}`].map((fact) => `# ${fact}\n`).join("");
      const choice = { choice: family.name, title, plot: { data } };
      const { text: csv, rows } = window.bookFigures.csvOf(choice, { name: "all-results", head });
      const link = figure.querySelector(".figure-download");
      link.hidden = false;
      link.download = `all-results-${family.name}-${axis.name}.csv`;
      link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(csv)}`;
      link.textContent = `plotted data (CSV, ${rows} rows)`;
      await show({ data, layout });
      figure.dataset.drawn = address().toString();
    }

    function update(asked) {
      choose(asked);
      controls();
      history.replaceState(null, "", `#${address()}`);
      return draw();
    }

    try {
      await window.bookFigures.loadPlotly();
    } catch (error) {
      return say("The figure cannot be drawn: plotly.min.js could not be loaded.");
    }
    figure.classList.add("is-drawn");
    window.addEventListener("hashchange", () => {
      const asked = fromAddress();
      if (asked.measured) update(asked);
    });
    const first = fromAddress();
    await update("measured" in first ? first : {});
    document.documentElement.classList.add("results-ready");
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
