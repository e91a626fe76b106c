// The frames to fix: each leads to the player, all can be copied as the list that commands read.
(() => {
  const PAGE = 10;
  const body = find(".fix tbody"), more = find(".more-fix");
  const { columns, rows } = data.fix;
  find(".fix thead tr").append(...columns.map((name) => make("th", { scope: "col", textContent: name })));
  let limit = PAGE;
  function show() {
    body.replaceChildren(...rows.slice(0, limit).map(([sequence, frame, ...others]) => {
      const link = make("a", { href: addressOf(sequence, frame), textContent: frame });
      return make("tr", {}, make("th", { scope: "row", textContent: sequence }), make("td", {}, link), ...others.map((text) => make("td", { textContent: text })));
    }));
    const rest = rows.length - limit;
    more.hidden = rest <= 0;
    more.textContent = `show ${Math.min(PAGE, rest)} more of the ${rest} that are not listed here`;
  }
  more.onclick = () => { limit += PAGE; show(); };
  find(".copy-list").disabled = !rows.length;
  find(".copy-list").onclick = async () => {
    const done = await copyText(rows.map(([sequence, frame]) => `${sequence}\t${frame}\n`).join(""));
    find(".copied").textContent = done ? `${plural(rows.length, "line")} copied, one "<sequence> <frame>" each.` : "The browser does not allow it: select the table and copy it.";
  };
  if (!isServed) { // the page knows where it lies
    const folder = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "");
    const word = /^[\w./@-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", "'\\''")}'`;
    for (const part of findAll(".exports .word")) if (part.textContent === "OUT") part.textContent = word;
  }
  for (const button of findAll(".copy-command")) button.onclick = async () => { button.textContent = await copyText(button.previousElementSibling.textContent) ? "copied" : "not allowed"; };
  show();
})();

// The address of the page says which frame is looked at.
function follow(scroll) {
  const found = /^#at=([^/]*)\/(.*)$/.exec(location.hash);
  if (found) player.open(decodeURIComponent(found[1]), decodeURIComponent(found[2]), { scroll });
  return Boolean(found);
}
clipList.show();
if (!follow(true) && data.clips.length) player.open(clipList.lines()[0].sequence, "");
window.addEventListener("hashchange", () => follow(true));
const redraw = () => { readColors(); clipList.redraw(); player.redraw(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
window.addEventListener("resize", redraw);
