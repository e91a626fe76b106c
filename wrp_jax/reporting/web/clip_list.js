// The list of clips: all of them, the worst first; strips of bars are drawn when they come into view.
const clipList = (() => {
  const PAGE = 50;
  const list = find(".clips"), order = find(".order"), filter = find(".filter"), more = find(".more-clips"), told = find(".shown-clips");
  const measure = data.hasEstimates ? "miou" : "confidence";
  let limit = PAGE;
  let lines = [];
  if (data.hasEstimates) {
    find(".measure-name").textContent = "its estimated mIoU";
  }
  find(".lowest").textContent = data.floor;

  const value = (line, which) => line[measure]?.[which] ?? 101;
  const orders = {
    mean: (a, b) => value(a, 0) - value(b, 0),
    least: (a, b) => value(a, 1) - value(b, 1),
    doubtful: (a, b) => b.doubtful - a.doubtful || value(a, 0) - value(b, 0),
    name: (a, b) => a.place - b.place,
  };
  const names = { mean: "worst first", least: "that with the worst frame first", doubtful: "that with most doubtful frames first", name: "by name" };
  order.querySelector('[value="doubtful"]').hidden = !data.clips.some((line) => line.doubtful);

  const strips = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      strips.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "200px" });

  function draw(canvas) {
    loadClip(canvas.dataset.sequence).then((clip) => {
      drawBars(canvas, clip);
      canvas.onclick = (event) => { location.hash = addressOf(clip.sequence, clip.names[frameUnder(canvas, clip, event)]); };
      canvas.onpointermove = (event) => { canvas.title = describe(clip, frameUnder(canvas, clip, event)); };
    }).catch((error) => canvas.replaceWith(make("p", { className: "warn", textContent: error.message })));
  }

  function facts(line) {
    const parts = [plural(line.frames, "frame"), `${line.keys} labelled by hand`];
    if (line.unlabelled) parts.push(`${line.unlabelled} without label`);
    if (line.doubtful) parts.push(`${line.doubtful} in doubt`);
    return parts.join(", ");
  }

  function row(line) {
    const link = make("a", { href: `#at=${enc(line.sequence)}/`, textContent: line.sequence });
    const text = make("div", { className: "clip-text" }, link, make("br"), make("small", { textContent: facts(line) }));
    const score = make("div", { className: "clip-score num" });
    if (line[measure]) {
      const [mean, least] = line[measure];
      score.append(make("b", { textContent: percent(mean) }), make("small", { textContent: ` ${data.hasEstimates ? "est. mIoU" : "confidence"}, worst ${least.toFixed(0)}` }));
    } else score.append(make("small", { textContent: line.frames === line.keys ? "all labelled by hand" : "not estimated" }));
    const canvas = make("canvas", { className: "strip" });
    canvas.dataset.sequence = line.sequence;
    canvas.setAttribute("aria-hidden", "true");
    strips.observe(canvas);
    const item = make("li", {}, text, score, canvas);
    item.dataset.sequence = line.sequence;
    return item;
  }

  function show() {
    const wanted = filter.value.trim().toLowerCase();
    lines = data.clips.filter((line) => line.sequence.toLowerCase().includes(wanted)).sort(orders[order.value]);
    strips.disconnect();
    list.replaceChildren(...lines.slice(0, limit).map(row));
    find(".order-name").textContent = names[order.value];
    const rest = lines.length - limit;
    more.hidden = rest <= 0;
    more.textContent = `show ${Math.min(PAGE, rest)} more of the ${rest.toLocaleString("en")} that are not listed here`;
    const hidden = data.clips.length - lines.length;
    told.textContent = `${plural(Math.min(limit, lines.length), "clip")} listed of ${data.clips.length.toLocaleString("en")}${hidden ? `; ${hidden} without "${filter.value.trim()}" in the name` : ""}`;
    mark();
  }

  let current = "";
  function mark(sequence = current) {
    current = sequence;
    for (const item of list.children) item.classList.toggle("current", item.dataset.sequence === current);
  }

  order.onchange = () => { limit = PAGE; show(); };
  filter.oninput = () => { limit = PAGE; show(); };
  more.onclick = () => { limit += PAGE; show(); };
  const redraw = () => findAll("canvas", list).forEach((canvas) => { if (canvas.onclick) draw(canvas); });
  return { show, mark, redraw, lines: () => (lines.length ? lines : data.clips) };
})();
