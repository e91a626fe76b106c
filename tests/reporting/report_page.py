"""A report of two clips as a browser shows it, and what a test sees of it."""

import base64
import io
import shutil

import numpy as np
from PIL import Image

from wrp_jax.data.images import encode_png
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.reporting.clips import Clip, FrameRow, clip_script
from wrp_jax.reporting.overlays import error_png
from wrp_jax.reporting.report import ClassQuality, render_report
from wrp_jax.types import ClassMap

CLASSES = ClassMap(
    ids=(0, 7, 9, 255),
    names=("background", "road", "car", "void"),
    colors=np.array([[0, 0, 0], [0, 200, 0], [0, 0, 200], [90, 90, 90]], np.uint8),
    void=(False, False, False, True),
)
METHODS = ("motion-only", "warp-refine")
SIZE = (32, 64)
NAMES = tuple(f"{i:03d}" for i in range(12))
KEYS = (2, 8)


def picture(i):
    return np.full((*SIZE, 3), (200, 100 + 5 * i, 60), np.uint8)


def labels(method):
    """From left to right: background, road, car, void; motion-only has no car."""
    row = np.repeat(np.arange(4), SIZE[1] // 4)
    if method == "motion-only":
        row = np.where(row == 2, 1, row)
    return np.tile(row, (SIZE[0], 1))


def write_output(root):
    """``D`` and ``OUT``, as labelling leaves them."""
    output, clips = root / "OUT # 1", []
    for sequence in ("fine", "a&b 50%"):
        rows = []
        for i, name in enumerate(NAMES):
            frame = root / "D" / sequence / "frames" / f"{name}.png"
            frame.parent.mkdir(parents=True, exist_ok=True)
            frame.write_bytes(encode_png(picture(i)))
            is_scored, has_label = i not in KEYS and i < 9, i < 11
            value = 85.0 - 5 * i if sequence == "fine" else 60.0 - i
            rows.append(
                FrameRow(
                    sequence, name, i in KEYS, 0.75 if has_label else None, 2 if i < 6 else 8,
                    is_scored, frame, None if i in KEYS or not has_label else value,
                    doubt="differs" if i == 6 else None,
                )
            )  # fmt: skip
            for method in METHODS if has_label else ():
                home = output if method == METHODS[-1] else output / "methods" / method
                writer = LabelWriter(home, CLASSES)
                sure = np.tile(np.linspace(0, 1, SIZE[1]), (SIZE[0], 1))
                writer.write(sequence, name, labels(method), sure)
                if is_scored:
                    path = writer.picture_path("errors", sequence, name)
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(error_png(labels(method), labels("warp-refine"), CLASSES))
            if is_scored:
                LabelWriter(root / "T", CLASSES).write(sequence, name, labels("warp-refine"), sure)
        shutil.copytree(root / "T" / sequence / "labels", output / sequence / "truth")
        clips.append(Clip(sequence, tuple(rows)))
        (output / sequence / "frames.js").write_text(clip_script(clips[-1], output))
    scores = Evaluator(CLASSES)
    for method in METHODS:
        scores.add(method, 1, labels("warp-refine"), labels(method))
    found = scores.metrics(METHODS)
    for method in METHODS:
        found[method]["reliability"] = Reliability().summary()
    page = render_report(
        title="Labels", classes=CLASSES, method=METHODS[-1], metrics={"methods": found},
        styles=dict.fromkeys(METHODS, ("var(--motion)", "4 2")), clips=clips,
        class_quality={"car": ClassQuality(60.0, "a&b 50%", "004", 12.5, False)},
    )  # fmt: skip
    (output / "report.html").write_text(page)
    return output


def settle(page):
    page.wait("document.querySelector('.where')?.textContent && document.images.length")
    page.ask(
        """Promise.all([...document.images].filter((i) => !i.hidden && i.src)
          .map((i) => i.decode().catch(() => {})))
          .then(() => new Promise((done) => setTimeout(done, 60)))"""
    )


def colors_seen(page, pane=".view-a"):
    """The colours in the middles of the four stripes of the picture."""
    settle(page)
    box = page.ask(
        f"""(() => {{
          const element = document.querySelector("{pane} .viewport");
          element.scrollIntoView({{block: "center"}});
          const box = element.getBoundingClientRect();
          // Whole pixels: what lies beside the picture is not part of it.
          const [x, y] = [Math.ceil(box.left + scrollX), Math.ceil(box.top + scrollY)];
          const [right, bottom] = [box.right + scrollX, box.bottom + scrollY].map(Math.floor);
          return {{x, y, width: right - x, height: bottom - y, scale: 1}};
        }})()"""
    )
    data = page.call("Page.captureScreenshot", clip=box)["data"]
    shot = np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)
    height, width = shot.shape[:2]
    middles = [round(width * (16 * i + 8.5) / 64) for i in range(4)]  # between lines of the grid
    return [shot[round(height * 16.5 / 32), x].tolist() for x in middles], shot


def check(page, wanted, pane=".view-a"):
    """Sees these colours in these stripes; what was changed last may be painted a little later."""
    for _ in range(20):
        seen, shot = colors_seen(page, pane)
        if all(near(seen[i], color) for i, color in wanted.items()):
            return shot
    raise AssertionError(f"{seen} are not {wanted}")


def near(color, wanted):
    return np.abs(np.subtract(color, wanted)).max() <= 3


def mixed(frame, color, share):
    return np.asarray(frame) * (1 - share) + np.asarray(color) * share


def frame_of(page):
    return page.text(".where").split()[1]


def everywhere(color):
    return dict.fromkeys(range(4), color)
