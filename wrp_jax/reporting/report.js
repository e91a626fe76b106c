// Flip-through of a window: every picture comes from the film strip's own <img> elements.
document.documentElement.classList.add("scripted");
for (const section of document.querySelectorAll(".window")) {
  const find = (selector) => section.querySelector(selector);
  const rows = new Map([...section.querySelectorAll(".film tbody tr")].map((row) => [row.dataset.row, row]));
  const heads = [...section.querySelectorAll(".film thead th[data-name]")];
  const [time, opacity, errors, play, where] = [".time", ".opacity", ".show-errors", ".play", ".where"].map(find);
  const panels = [...section.querySelectorAll(".panel")];
  const source = (row, at) => rows.get(row)?.querySelectorAll("td")[at]?.querySelector("img:not(.missing)")?.src;
  const empty = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
  const show = () => {
    const at = Number(time.value);
    const wanted = errors?.checked ? "errors " : "";
    for (const panel of panels) {
      const method = panel.querySelector("select").value;
      const [below, above] = panel.querySelectorAll("img");
      below.src = source("frame", at);
      above.src = source(wanted + method, at) ?? (wanted ? empty : source(method, at) ?? empty);
      above.style.opacity = wanted ? 0.85 : opacity.value / 100;
    }
    const key = heads[at].dataset.distance === "0";
    where.textContent = `frame ${heads[at].dataset.name} (${key ? "labelled by hand" : heads[at].textContent.trim()})`;
  };
  for (const input of [time, opacity, errors, ...panels.map((p) => p.querySelector("select"))])
    input?.addEventListener("input", show);
  let timer = null;
  play.addEventListener("click", () => {
    if (timer) { clearInterval(timer); timer = null; }
    else timer = setInterval(() => { time.value = (Number(time.value) + 1) % heads.length; show(); }, 160);
    play.textContent = timer ? "Pause" : "Play";
  });
  section.querySelectorAll(".film td").forEach((cell) => cell.addEventListener("click", () => {
    time.value = [...cell.parentElement.querySelectorAll("td")].indexOf(cell);
    show();
    find(".player").scrollIntoView({ behavior: "smooth", block: "nearest" });
  }));
  const table = find(".film table");
  find(".all-frames").addEventListener("input", (event) => table.classList.toggle("some", !event.target.checked));
  find(".all-errors")?.addEventListener("input", (event) => table.classList.toggle("no-errors", !event.target.checked));
  show();
}
