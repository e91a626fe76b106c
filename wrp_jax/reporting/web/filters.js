// SVG filters that colour label and confidence files as the browser shows them: pages that are
// opened from a disk may not read pixels, but may filter them.
const filters = (() => {
  const home = find(".filters");
  const space = 'color-interpolation-filters="sRGB"';
  const written = new Map();

  function write(name, body) {
    if (written.get(name) === body) return;
    written.set(name, body);
    home.innerHTML = [...written].map(([id, content]) =>
      `<svg width="0" height="0"><filter id="${id}" x="0" y="0" width="1" height="1" ${space}>${content}</filter></svg>`).join("");
  }

  const only = (value) => Array.from({ length: 256 }, (_, i) => (i === value ? 1 : 0)).join(" ");

  // The pixels of one colour, opaque; all others transparent.
  function matching(color, result) {
    const tables = ["R", "G", "B"].map((c, i) => `<feFunc${c} type="discrete" tableValues="${only(color[i])}"/>`).join("");
    return `<feComponentTransfer in="SourceGraphic" result="${result}-parts">${tables}</feComponentTransfer>` +
      `<feColorMatrix in="${result}-parts" result="${result}" values="0 0 0 0 0  0 0 0 0 0  0 0 0 0 0  1 1 1 0 -2"/>`;
  }

  function union(colors, result) {
    const parts = colors.map((color, i) => matching(color, `${result}${i}`)).join("");
    return `${parts}<feMerge result="${result}">${colors.map((_, i) => `<feMergeNode in="${result}${i}"/>`).join("")}</feMerge>`;
  }

  // Pixels whose right or lower neighbour has another colour.
  const difference = (reach) =>
    `<feOffset in="SourceGraphic" dx="${-reach}" result="right"/><feOffset in="SourceGraphic" dy="${-reach}" result="below"/>` +
    '<feBlend in="SourceGraphic" in2="right" mode="difference" result="over"/><feBlend in="SourceGraphic" in2="below" mode="difference" result="down"/>' +
    '<feComposite in="over" in2="right" operator="in" result="over"/><feComposite in="down" in2="below" operator="in" result="down"/>' +
    '<feComposite in="over" in2="down" operator="arithmetic" k2="1" k3="1" result="steps"/>' +
    '<feColorMatrix in="steps" result="lines" values="0 0 0 0 1  0 0 0 0 1  0 0 0 0 1  255 255 255 0 0"/>';

  // A line stands between two pixels and is drawn on one: it goes by both, and by that below.
  const around = (name, reach, operator) => (!reach ? "" :
    `<feOffset in="${name}" dx="${-reach}" result="${name}-right"/><feOffset in="${name}" dy="${-reach}" result="${name}-below"/>` +
    `<feComposite in="${name}" in2="${name}-right" operator="${operator}" result="${name}-two"/><feComposite in="${name}-two" in2="${name}-below" operator="${operator}" result="${name}"/>`);

  return {
    // hidden: colours that are not shown; shown: those that are; reach: of borders in pixels, 0 for areas.
    labels({ hidden, shown, reach }) {
      let body = reach ? difference(reach) : "";
      const base = reach ? "lines" : "SourceGraphic";
      if (!hidden.length) body ||= '<feOffset in="SourceGraphic"/>';
      else if (hidden.length <= shown.length) body += `${union(hidden, "gone")}${around("gone", reach, "in")}<feComposite in="${base}" in2="gone" operator="out"/>`;
      else if (shown.length) body += `${union(shown, "kept")}${around("kept", reach, "over")}<feComposite in="${base}" in2="kept" operator="in"/>`;
      else body += '<feFlood flood-opacity="0"/>';
      write("filter-labels", body);
      return "url(#filter-labels)";
    },
    // One colour as diagonal stripes of white and black, which no class has.
    void(color) {
      const tile = "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'><rect width='8' height='8' fill='#fff' fill-opacity='.55'/><path d='M-2 2L2 -2M0 8L8 0M6 10L10 6' stroke='#111' stroke-width='2'/></svg>";
      write("filter-void", `${matching(color, "void")}<feImage href="data:image/svg+xml,${enc(tile)}" x="0" y="0" width="8" height="8" preserveAspectRatio="none" result="tile"/>` +
        '<feTile in="tile" result="stripes"/><feComposite in="stripes" in2="void" operator="in"/>');
      return "url(#filter-void)";
    },
    // Grey as viridis.
    confidence() {
      const steps = data.viridis;
      const tables = ["R", "G", "B"].map((c, i) => `<feFunc${c} type="table" tableValues="${steps.map((s) => (s[i] / 255).toFixed(3)).join(" ")}"/>`).join("");
      write("filter-confidence", `<feComponentTransfer in="SourceGraphic">${tables}</feComponentTransfer>`);
      return "url(#filter-confidence)";
    },
    // Grey below a threshold, in percent, in one colour.
    doubt(below) {
      const cut = Math.round(below * 255 / 100);
      const table = Array.from({ length: 256 }, (_, i) => (i < cut ? 1 : 0)).join(" ");
      write("filter-doubt", `<feComponentTransfer in="SourceGraphic" result="low"><feFuncR type="discrete" tableValues="${table}"/></feComponentTransfer>` +
        '<feColorMatrix in="low" values="0 0 0 0 1  0 0 0 0 .35  0 0 0 0 0  1 0 0 0 0"/>');
      return "url(#filter-doubt)";
    },
  };
})();
