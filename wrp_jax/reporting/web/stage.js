// Zoom and pan, the same for both pictures. Pixels stay squares: nothing is smoothed from 1:1 on.
const stage = (() => {
  const GRID_FROM = 8, MOST = 64;
  const viewports = findAll(".viewport"), text = find(".zoom-text"), pixel = find(".pixel");
  let [width, height] = [0, 0];
  let fits = true, scale = 1, x = 0, y = 0;
  let changed = () => {}, pointed = () => {};

  const shown = () => viewports.find((viewport) => viewport.clientWidth) ?? viewports[0];
  const fitting = () => {
    const box = shown();
    return Math.min(box.clientWidth / width, box.clientHeight / height) || 1;
  };

  function place() {
    if (!width) return;
    const box = shown();
    if (fits) scale = fitting();
    const [wide, tall] = [width * scale, height * scale];
    // A picture that is smaller than its place stands in the middle; a larger one leaves no gap.
    x = wide <= box.clientWidth ? (box.clientWidth - wide) / 2 : Math.min(0, Math.max(box.clientWidth - wide, x));
    y = tall <= box.clientHeight ? (box.clientHeight - tall) / 2 : Math.min(0, Math.max(box.clientHeight - tall, y));
    for (const viewport of viewports) {
      const inner = find(".stage", viewport), grid = find(".grid", viewport);
      inner.style.width = `${width}px`;
      inner.style.height = `${height}px`;
      inner.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      inner.classList.toggle("sharp", scale >= 1);
      grid.hidden = scale < GRID_FROM;
      grid.style.backgroundSize = `${scale}px ${scale}px`;
      grid.style.backgroundPosition = `${x}px ${y}px`;
    }
    text.textContent = `${Math.round(100 * scale)} %${scale >= GRID_FROM ? ", grid of pixels" : ""}`;
    changed(scale);
  }

  function zoom(factor, at = null) {
    const box = shown();
    const [cx, cy] = at ?? [box.clientWidth / 2, box.clientHeight / 2];
    const next = Math.min(Math.max(scale * factor, Math.min(fitting(), 1)), MOST);
    x = cx - (cx - x) * next / scale;
    y = cy - (cy - y) * next / scale;
    scale = next;
    fits = Math.abs(next / fitting() - 1) < 1e-4;
    place();
  }

  const inside = (viewport, event) => {
    const box = viewport.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const pointers = new Map();
  for (const viewport of viewports) {
    viewport.addEventListener("wheel", (event) => {
      // Until the picture was clicked the wheel scrolls the page.
      if (document.activeElement !== viewport && !event.ctrlKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.0018), inside(viewport, event));
    }, { passive: false });
    viewport.addEventListener("dblclick", (event) => zoom(event.shiftKey ? 0.5 : 2, inside(viewport, event)));
    viewport.addEventListener("pointerdown", (event) => {
      viewport.focus({ preventScroll: true });
      viewport.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, inside(viewport, event));
    });
    viewport.addEventListener("pointermove", (event) => {
      const now = inside(viewport, event);
      const [px, py] = [Math.floor((now[0] - x) / scale), Math.floor((now[1] - y) / scale)];
      const isIn = px >= 0 && py >= 0 && px < width && py < height;
      pixel.textContent = isIn ? `pixel ${px}, ${py}` : "";
      if (isIn) pointed(viewport, px, py);
      const before = pointers.get(event.pointerId);
      if (!before) return;
      if (pointers.size === 2) { // two fingers
        const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
        const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
        pointers.set(event.pointerId, now);
        zoom(apart(now) / apart(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
        return;
      }
      pointers.set(event.pointerId, now);
      x += now[0] - before[0];
      y += now[1] - before[1];
      place();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      viewport.addEventListener(end, (event) => pointers.delete(event.pointerId));
    viewport.addEventListener("pointerleave", () => { pixel.textContent = ""; });
  }
  new ResizeObserver(place).observe(find(".views"));

  const actions = {
    in: () => zoom(1.5),
    out: () => zoom(1 / 1.5),
    fit: () => { fits = true; place(); },
    one: () => zoom(1 / scale),
  };
  for (const button of findAll("[data-zoom]")) button.onclick = actions[button.dataset.zoom];

  return {
    ...actions,
    place,
    size(w, h) {
      if (w === width && h === height) return;
      [width, height, fits] = [w, h, true];
      find(".views").style.setProperty("--shape", w / h);
      place();
    },
    scale: () => scale,
    onChange(call) { changed = call; },
    onPoint(call) { pointed = call; },
  };
})();
