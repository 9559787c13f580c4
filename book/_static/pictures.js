// A figure as a file: its title, key and panels on white ground, as SVG or PNG, drawn as wide as a
// slide by the script that drew it in the page.
(() => {
  "use strict";

  const WIDTH = 1000; // pixels of the page that is drawn
  const SIDE = 16;
  const SCALE = 2; // pixels of a PNG for each of them
  const FAMILY = "Helvetica, Arial, sans-serif";
  const INK = "#1a1a1a";
  const ruler = document.createElement("canvas").getContext("2d");

  // Words that flow over lines of so many pixels: [line, x, y] of each, and where they end.
  function flowed(words, font, width, top, height) {
    ruler.font = font;
    const space = ruler.measureText(" ").width;
    let [x, y] = [0, top];
    const placed = words.map((word) => {
      const long = ruler.measureText(word).width;
      if (x > 0 && x + long > width) [x, y] = [0, y + height];
      const at = [word, SIDE + x, y];
      x += long + space;
      return at;
    });
    return [placed, y + height];
  }

  function texts(placed, size, weight) {
    const parts = placed.map(([word, x, y]) => `<text x="${x}" y="${y}">${escaped(word)}</text>`);
    return `<g font-size="${size}" font-weight="${weight}" fill="${INK}">${parts.join("")}</g>`;
  }

  function escaped(text) {
    const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
    return text.replace(/[&<>"]/g, (sign) => signs[sign]);
  }

  // The entries of the key with their swatches, as many in a row as there is room for.
  function keyOf(figure, top) {
    ruler.font = `13px ${FAMILY}`;
    let [x, y] = [SIDE, top];
    const parts = [...figure.querySelectorAll(".figure-key li")].map((item) => {
      const text = item.textContent.trim();
      const long = 40 + ruler.measureText(text).width;
      if (x > SIDE && x + long > WIDTH - SIDE) [x, y] = [SIDE, y + 20];
      const swatch = new XMLSerializer().serializeToString(item.querySelector("svg"));
      const at = `translate(${x} ${y})`;
      x += long + 18;
      return `<g transform="${at}">${swatch}<text x="38" y="11" font-size="13" fill="${INK}">${escaped(text)}</text></g>`;
    });
    return [parts.join(""), parts.length ? y + 26 : top];
  }

  // The whole picture as SVG text, and its height.
  async function picture(figure, { data, layout }) {
    const title = figure.querySelector(".figure-title").textContent;
    const [words, below] = flowed(title.split(/\s+/), `bold 17px ${FAMILY}`, WIDTH - 2 * SIDE, 28, 23);
    const [keys, top] = keyOf(figure, below - 8);
    const width = WIDTH - 2 * SIDE;
    const [made] = window.bookFigures.arranged(structuredClone(layout), width);
    const drawn = { ...made, width, font: { color: INK, family: FAMILY }, meta: undefined };
    const address = await window.Plotly.toImage(
      { data: structuredClone(data), layout: drawn },
      { format: "svg", width, height: drawn.height },
    );
    const plot = decodeURIComponent(address.slice(address.indexOf(",") + 1));
    const run = figure.querySelector(".figure-provenance summary")?.textContent ?? "";
    const height = top + drawn.height + 30;
    const svg =
      `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
      `viewBox="0 0 ${WIDTH} ${height}" font-family="${FAMILY}"><title>${escaped(title)}</title>` +
      `<rect width="100%" height="100%" fill="#ffffff"/>${texts(words, 17, "bold")}${keys}` +
      `<g transform="translate(${SIDE} ${top})">${plot}</g>` +
      texts([[run, SIDE, height - 12]], 11, "normal") +
      "</svg>";
    return { svg, height };
  }

  async function rastered({ svg, height }) {
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    await image.decode();
    const sheet = document.createElement("canvas");
    [sheet.width, sheet.height] = [WIDTH * SCALE, height * SCALE];
    sheet.getContext("2d").drawImage(image, 0, 0, sheet.width, sheet.height);
    URL.revokeObjectURL(image.src);
    return new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
  }

  // Offers the figure, as it is chosen, to be kept; `as` is "svg" or "png".
  async function save(figure, content, as) {
    const made = await picture(figure, content);
    const file = as === "png" ? await rastered(made) : new Blob([made.svg], { type: "image/svg+xml" });
    const link = document.createElement("a");
    link.download = figure.querySelector(".figure-download").download.replace(/\.csv$/, `.${as}`);
    link.href = URL.createObjectURL(file);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  window.bookPictures = { save };
})();
