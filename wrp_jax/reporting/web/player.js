// One clip on one time line, with its layers, in one picture or in two that are compared.
const player = (() => {
  const TRUTH = "true labels", FRAME = "frame alone";
  const LAYERS = ["image", "labels", "confidence", "doubt", "source", "errors"];
  const TITLES = { image: "frame", labels: "labels", void: "labels", confidence: "confidence", doubt: "confidence", source: "source", errors: "errors" };
  const root = find("#player"), views = find(".views"), time = find(".time"), bars = find(".bars"), where = find(".where"), playButton = find(".play");
  const panes = findAll(".view", views).map((pane) => ({
    pane, select: find(".method", pane), missing: find(".missing", pane),
    images: Object.fromEntries(findAll(".layer", pane).map((image) => [image.dataset.layer, image])),
  }));
  const rows = Object.fromEntries(findAll(".layer-row").map((row) => {
    const [on, opacity] = [find("input[type=checkbox]", row), find("input[type=range]:not(.threshold)", row)];
    return [row.dataset.row, { row, on, opacity, why: find(".why", row) }];
  }));
  const borders = find(".borders"), threshold = find(".threshold"), wipe = find("input.wipe");
  // A black background would darken the frame: it begins hidden, and the page says so.
  const isBlack = (entry) => !entry.void && entry.color.every((value) => value === 0);
  const hidden = new Set(data.classes.filter(isBlack).map((entry) => entry.id));
  let clip = null, at = 0, playing = 0, asked = 0, addressTimer = 0;

  // --- where the files are ---------------------------------------------------------------------
  const folderOf = (method) => (method === data.method ? "" : `methods/${enc(method)}/`) + enc(clip.sequence);
  const file = (folder, kind, suffix = "png") => `${folder}/${kind}/${enc(clip.names[at])}.${suffix}`;

  function pictureOf(index) {
    const listed = clip.pictures?.files[index];
    if (!listed) return [`${enc(clip.sequence)}/pictures/${enc(clip.names[index])}.jpg`];
    if (isServed) return [`${enc(clip.sequence)}/.video/${enc(clip.names[index])}`];
    const relative = clip.pictures.folder === null ? [] : [`${clip.pictures.folder}/${listed}`];
    return [...relative, `${clip.pictures.address}/${listed}`];
  }

  // Addresses to try one after the other; none where there is no such file.
  function sources(method, layer) {
    if (layer === "image") return pictureOf(at);
    if (clip.confidence[at] === null || method === FRAME) return [];
    const isKey = clip.keys.includes(at), folder = folderOf(method);
    if (method === TRUTH) {
      if (layer !== "labels" && layer !== "void") return [];
      return isKey ? [file(folderOf(data.method), "labels")] : clip.scored.includes(at) ? [file(enc(clip.sequence), "truth")] : [];
    }
    if (layer === "labels" || layer === "void") return [file(folder, "labels")];
    if (layer === "confidence" || layer === "doubt") return [file(folder, "confidence")];
    if (layer === "source") return clip.source ? [file(folder, "source")] : [];
    return clip.scored.includes(at) ? [file(folder, "errors")] : [];
  }

  function why(layer) { // it shows nothing
    if (layer === "image") return "";
    if (clip.confidence[at] === null) return "this frame has no label";
    if (layer === "source" && !clip.source) return "not written in this output (config.propagation.write_source=true writes it)";
    if (layer === "errors" && clip.keys.includes(at)) return "labelled by hand";
    if (layer === "errors" && !clip.scored.includes(at)) return "this frame has no true label";
    return "";
  }

  // --- pictures --------------------------------------------------------------------------------
  function load(view, layer, addresses) {
    const image = view.images[layer];
    const wanted = addresses.join("\n");
    if (image.dataset.wanted === wanted) return;
    image.dataset.wanted = wanted;
    delete image.dataset.failed;
    const rest = [...addresses];
    image.onerror = () => {
      if (rest.length) image.src = rest.shift();
      else { image.dataset.failed = addresses[0]; report(view); image.hidden = true; }
    };
    image.onload = () => {
      if (layer === "labels" || (layer === "image" && !view.images.labels.dataset.wanted)) stage.size(image.naturalWidth, image.naturalHeight);
      image.hidden = !isOn(view, layer);
      report(view);
    };
    if (rest.length) image.src = rest.shift();
    else { image.removeAttribute("src"); image.hidden = true; }
  }

  function report(view) {
    const gone = ["image", "labels", "confidence", "source", "errors"].filter((layer) => view.images[layer].dataset.failed && rows[layer].on.checked);
    view.missing.hidden = !gone.length;
    view.missing.textContent = gone.map((layer) => `The ${TITLES[layer]} cannot be shown: ${decodeURIComponent(layer === "image" && clip.pictures && !isServed ? `${clip.pictures.address}/${clip.pictures.files[at] ?? ""}` : view.images[layer].dataset.failed)} is gone.`).join(" ");
  }

  const needed = (layer) => rows[layer === "void" ? "labels" : layer].on.checked;
  const isOn = (view, layer) => needed(layer) && Boolean(view.images[layer].getAttribute("src")) && !view.images[layer].dataset.failed
    && (layer !== "void" || stripes());

  const isCompared = () => views.dataset.compare !== "one";
  function update() {
    if (!clip) return;
    panes.forEach((view, i) => {
      if (i && !isCompared()) return;
      for (const layer of Object.keys(view.images)) {
        if (needed(layer)) load(view, layer, sources(view.select.value, layer));
        view.images[layer].hidden = !isOn(view, layer);
      }
      report(view);
    });
    for (const layer of LAYERS) {
      const reason = why(layer);
      rows[layer].why.textContent = reason;
      rows[layer].row.classList.toggle("empty", Boolean(reason));
    }
    time.value = at;
    where.textContent = describe(clip, at);
    drawBars(bars, clip, at);
    clearTimeout(addressTimer);
    addressTimer = setTimeout(() => history.replaceState(null, "", addressOf(clip.sequence, clip.names[at])), 400);
    for (const index of [at + 1, at - 1]) if (index in clip.names) new Image().src = pictureOf(index)[0];
  }

  // --- classes and filters -----------------------------------------------------------------------
  const hex = (color) => `#${color.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  const same = (a, b) => a.join() === b.join();
  const voidClass = data.classes.find((entry) => entry.void);
  const hasOwnColor = (entry) => data.classes.filter((other) => same(other.color, entry.color)).length === 1;
  const stripes = () => voidClass && hasOwnColor(voidClass) && !hidden.has(voidClass.id) && !borders.checked;

  function filter() {
    const gone = data.classes.filter((entry) => hidden.has(entry.id) || (entry === voidClass && stripes()));
    const kept = data.classes.filter((entry) => !gone.includes(entry));
    const reach = borders.checked ? Math.max(1, 1 / stage.scale()) : 0;
    const isPlain = !gone.length && !reach;
    const colorsOf = (entries) => entries.map((entry) => entry.color);
    const labels = isPlain ? "none" : filters.labels({ hidden: colorsOf(gone), shown: colorsOf(kept), reach });
    for (const { images } of panes) {
      images.labels.style.filter = reach ? `${labels} drop-shadow(0 0 ${1 / stage.scale()}px #000)` : labels;
      if (voidClass) images.void.style.filter = filters.void(voidClass.color);
      images.confidence.style.filter = filters.confidence();
      images.doubt.style.filter = filters.doubt(Number(threshold.value));
      for (const layer of Object.keys(images)) images[layer].style.opacity = rows[layer === "void" ? "labels" : layer].opacity.value / 100;
      images.labels.style.opacity = borders.checked ? 1 : rows.labels.opacity.value / 100;
    }
    find(".threshold-text").textContent = `${threshold.value} %`;
    const names = data.classes.filter((entry) => hidden.has(entry.id)).map((entry) => entry.name);
    find(".hidden-classes").textContent = names.length ? `Hidden: ${names.join(", ")}.` : "";
    find(".all-classes").hidden = !names.length;
  }

  function buildLegend() {
    const legend = find(".class-list .legend");
    for (const entry of data.classes) {
      const swatch = make("span", { className: entry.void && hasOwnColor(entry) ? "swatch stripes" : "swatch" });
      if (!entry.void || !hasOwnColor(entry)) swatch.style.background = hex(entry.color);
      const button = make("button", { type: "button", title: `id ${entry.id}` }, swatch, entry.name, make("small", { textContent: ` ${entry.id}` }));
      button.setAttribute("aria-pressed", "true");
      button.dataset.id = entry.id;
      button.onclick = () => { if (!hidden.delete(entry.id)) hidden.add(entry.id); pressed(); };
      button.ondblclick = () => { hidden.clear(); for (const other of data.classes) if (other !== entry) hidden.add(other.id); pressed(); };
      legend.append(make("li", {}, button));
    }
    const doubles = data.classes.filter((entry) => !hasOwnColor(entry)).map((entry) => entry.name);
    const note = find(".same-colors");
    note.hidden = !doubles.length;
    note.textContent = `${doubles.join(", ")}: classes of one colour, which cannot be told apart or hidden alone here. Give them colours of their own in classes.json.`;
  }
  function pressed() {
    for (const button of findAll(".class-list .legend button")) button.setAttribute("aria-pressed", String(!hidden.has(Number(button.dataset.id))));
    filter();
    update();
  }
  find(".all-classes").onclick = () => { hidden.clear(); pressed(); };

  // --- time ----------------------------------------------------------------------------------------
  function seek(index) {
    if (!clip) return;
    at = Math.min(Math.max(index, 0), clip.names.length - 1);
    update();
  }
  function jump(places, forward) {
    const next = forward ? places.find((i) => i > at) : places.findLast((i) => i < at);
    if (places.length) seek(next ?? (forward ? places[0] : places.at(-1)));
  }
  const doubtful = () => {
    const listed = Object.keys(clip.doubtful).map(Number).sort((a, b) => a - b);
    if (listed.length) return listed;
    // No estimate: the quarter of the frames that is least sure.
    const places = clip.names.map((_, i) => i).filter((i) => measureOf(clip, i) !== null && !clip.keys.includes(i));
    const few = [...places].sort((a, b) => measureOf(clip, a) - measureOf(clip, b)).slice(0, Math.max(1, Math.ceil(places.length / 4)));
    return few.sort((a, b) => a - b);
  };
  async function play() {
    const run = ++playing;
    playButton.textContent = "Pause";
    while (run === playing) {
      const pause = new Promise((done) => setTimeout(done, 1000 / Number(find(".speed").value)));
      seek((at + 1) % clip.names.length);
      const visible = findAll(".layer:not([hidden])", views).filter((image) => image.getAttribute("src"));
      await Promise.all([pause, ...visible.map((image) => image.decode().catch(() => {}))]);
    }
  }
  function stop() { playing++; playButton.textContent = "Play"; }
  const toggle = () => (playButton.textContent === "Play" ? clip && play() : stop());

  async function open(sequence, name, { scroll = false } = {}) {
    const mine = ++asked;
    stop();
    if (!data.clips.some((line) => line.sequence === sequence)) {
      where.textContent = `${sequence} is not listed here: none of its frames is labelled.`;
      if (scroll) root.scrollIntoView({ block: "start" });
      return;
    }
    let found;
    try { found = await loadClip(sequence); } catch (error) { where.textContent = error.message; return; }
    if (mine !== asked) return;
    clip = found;
    const values = clip.names.map((_, i) => (clip.keys.includes(i) ? null : measureOf(clip, i)));
    const least = Math.min(...values.filter((value) => value !== null));
    const worst = values.indexOf(least);
    const wanted = clip.names.indexOf(name);
    time.max = clip.names.length - 1;
    find(".clip-name").textContent = clip.sequence;
    clipList.mark(sequence);
    offer();
    seek(wanted >= 0 ? wanted : Math.max(worst, 0));
    filter();
    if (name && wanted < 0) where.textContent = `There is no frame ${name} in ${sequence}; this is ${describe(clip, at)}.`;
    if (scroll) root.scrollIntoView({ block: "start" });
  }
  function step(by) { // to another clip of the list
    const names = clipList.lines().map((line) => line.sequence);
    if (names.length) open(names[(names.indexOf(clip?.sequence) + by + names.length) % names.length]);
  }

  function offer() { // what may be compared in this clip
    const choices = [data.method, ...data.methods.filter((name) => name !== data.method), ...(clip.scored.length ? [TRUTH] : []), FRAME];
    panes.forEach(({ select }, i) => {
      const before = select.value;
      select.replaceChildren(...choices.map((name) => make("option", { textContent: name, value: name })));
      const second = choices.find((name) => name === "motion-only" && name !== data.method) ?? choices[1];
      select.value = choices.includes(before) ? before : i ? second : data.method;
    });
  }

  function compare(mode) {
    views.dataset.compare = mode;
    for (const button of findAll("[data-compare]", root)) if (button.tagName === "BUTTON") button.setAttribute("aria-pressed", String(button.dataset.compare === mode));
    wipe.hidden = mode !== "wipe";
    stage.place();
    update();
  }

  // --- controls --------------------------------------------------------------------------------
  for (const button of findAll("button[data-compare]", root)) button.onclick = () => compare(button.dataset.compare);
  wipe.oninput = () => views.style.setProperty("--wipe", `${wipe.value}%`);
  for (const { select } of panes) select.onchange = update;
  for (const { on, opacity } of Object.values(rows)) { on.onchange = () => { filter(); update(); }; opacity.oninput = filter; }
  for (const input of [borders, threshold]) input.oninput = () => { filter(); update(); };
  time.oninput = () => seek(Number(time.value));
  bars.onpointerdown = (event) => { bars.setPointerCapture(event.pointerId); seek(frameUnder(bars, clip, event)); };
  bars.onpointermove = (event) => { if (clip && event.buttons) seek(frameUnder(bars, clip, event)); else if (clip) bars.title = describe(clip, frameUnder(bars, clip, event)); };
  playButton.onclick = toggle;
  const buttons = { ".step-back": () => seek(at - 1), ".step-on": () => seek(at + 1), ".next-key": () => jump(clip.keys, true), ".next-doubt": () => jump(doubtful(), true), ".previous-clip": () => step(-1), ".next-clip": () => step(1) };
  for (const [selector, action] of Object.entries(buttons)) find(selector).onclick = () => { stop(); if (clip) action(); };
  const help = find("dialog.help");
  find(".help-button").onclick = () => help.showModal();

  const flip = (layer) => { rows[layer].on.click(); };
  const modes = ["one", "beside", "wipe"];
  const keys = {
    ArrowLeft: (e) => seek(at - (e.shiftKey ? 10 : 1)), ArrowRight: (e) => seek(at + (e.shiftKey ? 10 : 1)),
    Home: () => seek(0), End: () => seek(Infinity), " ": toggle,
    k: () => jump(clip.keys, true), K: () => jump(clip.keys, false), n: () => jump(doubtful(), true), N: () => jump(doubtful(), false),
    "[": () => step(-1), "]": () => step(1), b: () => borders.click(), c: () => compare(modes[(modes.indexOf(views.dataset.compare) + 1) % 3]),
    "+": stage.in, "=": stage.in, "-": stage.out, 0: stage.fit, f: stage.one, "?": () => help.showModal(),
    ...Object.fromEntries(LAYERS.map((layer, i) => [i + 1, () => flip(layer)])),
  };
  document.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    const target = event.target;
    const isTyping = target.matches("select, textarea, input:not([type=checkbox]):not([type=range])") || help.open;
    const isOwn = (target.matches("input[type=range]") && /^(Arrow|Home|End)/.test(event.key)) || (event.key === " " && target.matches("button, a, input, summary"));
    if (!action || !clip || isTyping || isOwn || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (event.key !== " ") stop();
    action(event);
  });

  // --- the class under the mouse: a server's pictures may be read, those of a disk may not ---------
  const probe = make("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  stage.onPoint((viewport, px, py) => {
    const image = panes.find(({ pane }) => pane.contains(viewport)).images.labels;
    if (!isServed || !image.complete || !image.naturalWidth) return;
    probe.clearRect(0, 0, 1, 1);
    probe.drawImage(image, px, py, 1, 1, 0, 0, 1, 1);
    const color = [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
    const entries = data.classes.filter((entry) => same(entry.color, color));
    find(".pixel").textContent += `: ${entries.map((entry) => entry.name).join(" or ") || "no class"}`;
  });
  stage.onChange(() => { if (borders.checked) filter(); });

  buildLegend();
  pressed();
  return { open, redraw: () => { if (clip) drawBars(bars, clip, at); } };
})();
