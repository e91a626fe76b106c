// What all parts of the page use: its data, elements, colours, and the scripts of clips.
document.documentElement.classList.add("scripted");
const data = JSON.parse(document.getElementById("report-data").textContent);
const find = (selector, root = document) => root.querySelector(selector);
const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];
const isServed = location.protocol.startsWith("http");
const enc = encodeURIComponent;
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const percent = (value) => `${value.toFixed(value < 99.95 ? 1 : 0)} %`;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Clips by name: a promise of what their script says.
const clips = new Map();
const waiting = new Map();
window.wrpClip = (content) => waiting.get(content.sequence)?.(content);

function loadClip(sequence) {
  if (!clips.has(sequence)) {
    clips.set(sequence, new Promise((resolve, reject) => {
      waiting.set(sequence, resolve);
      const script = make("script", { src: `${enc(sequence)}/frames.js` });
      script.onload = () => { script.remove(); reject(new Error(`${sequence}/frames.js is of another page`)); };
      script.onerror = () => {
        script.remove();
        clips.delete(sequence); // the next look tries again
        reject(new Error(`${sequence}/frames.js is not beside this page: move the whole folder, not the page alone`));
      };
      document.head.append(script);
    }));
  }
  return clips.get(sequence);
}

// How good a frame is held to be, in percent: the estimate, the confidence where there is none.
const measureOf = (clip, at) => clip.miou?.[at] ?? clip.confidence[at];

let colors;
function readColors() {
  const style = getComputedStyle(document.documentElement);
  colors = Object.fromEntries(["low", "high", "key", "shade", "ink", "soft"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
readColors();
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
function mix(level) {
  const [low, high] = [rgb(colors.low), rgb(colors.high)];
  return `rgb(${low.map((value, i) => Math.round(value + (high[i] - value) * level)).join(" ")})`;
}

// A bar per frame; where frames outnumber pixels, the worst of those that share one.
function drawBars(canvas, clip, current = -1) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const count = clip.names.length;
  const keys = new Set(clip.keys);
  const step = width / count;
  const gap = step > 4 ? 1 : 0;
  const columns = Math.min(count, Math.floor(width));
  for (let column = 0; column < columns; column++) {
    const [first, last] = [Math.floor(column * count / columns), Math.floor((column + 1) * count / columns)];
    let worst = null, isKey = false, doubtful = false;
    for (let at = first; at < last; at++) {
      const value = measureOf(clip, at);
      isKey ||= keys.has(at);
      doubtful ||= at in clip.doubtful;
      if (!keys.has(at) && value !== null && (worst === null || value < worst)) worst = value;
    }
    const left = column * width / columns;
    const wide = Math.max(width / columns - gap, 1);
    if (worst !== null) {
      const level = Math.min(Math.max((worst - data.floor) / (100 - data.floor), 0), 1);
      const tall = Math.max(2, (height - 4) * level);
      pen.fillStyle = mix(level);
      pen.fillRect(left, height - tall, wide, tall);
    }
    if (isKey) {
      pen.fillStyle = colors.key;
      pen.fillRect(left, 0, Math.max(wide, 2), height);
    }
    if (doubtful) {
      pen.fillStyle = colors.ink;
      pen.fillRect(left, 0, Math.max(wide, 2), 3);
    }
  }
  if (current >= 0) {
    pen.strokeStyle = colors.ink;
    pen.lineWidth = 2;
    pen.strokeRect(Math.min(current * step, width - 3), 1, Math.max(step, 3), height - 2);
  }
}

function frameUnder(canvas, clip, event) {
  const box = canvas.getBoundingClientRect();
  const at = Math.floor((event.clientX - box.left) / box.width * clip.names.length);
  return Math.min(Math.max(at, 0), clip.names.length - 1);
}

function describe(clip, at) {
  const parts = [`frame ${clip.names[at]} (${at + 1} of ${clip.names.length})`];
  if (clip.keys.includes(at)) parts.push("labelled by hand");
  else if (clip.confidence[at] === null) parts.push("no label: no labelled frame is near enough");
  else {
    const distance = at - clip.nearest[at];
    parts.push(`${Math.abs(distance)} ${distance > 0 ? "after" : "before"} the labelled ${clip.names[clip.nearest[at]]}`);
    if (clip.miou?.[at] != null) {
      const [low, high] = clip.range[at];
      parts.push(`estimated mIoU ${percent(clip.miou[at])}${low != null && high != null ? ` (${low.toFixed(0)} to ${high.toFixed(0)})` : ""}`);
    }
    parts.push(`confidence ${percent(clip.confidence[at])}`);
    if (at in clip.doubtful) parts.push(clip.doubtful[at] ? `in doubt: ${clip.doubtful[at]}` : "in doubt");
  }
  return parts.join(", ");
}

const addressOf = (sequence, name) => `#at=${enc(sequence)}/${enc(name)}`;

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // not allowed here: by a selection
    const area = make("textarea", { value: text, className: "off-screen" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
