"""The report in a real browser, opened from the disk: every control, and what is seen."""

import base64
import io
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import BROWSER, WHY_NOT, browser
from PIL import Image

from wrp_jax.data.images import encode_png
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.reporting.clips import Clip, FrameRow, clip_script
from wrp_jax.reporting.overlays import error_png
from wrp_jax.reporting.report import render_report
from wrp_jax.reporting.server import ReportServer
from wrp_jax.types import ClassMap

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=WHY_NOT),
    pytest.mark.commands,
]

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
SCREENSHOTS = os.environ.get("SCREENSHOTS")


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
    )  # fmt: skip
    (output / "report.html").write_text(page)
    return output


@pytest.fixture(scope="module")
def program():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return write_output(tmp_path_factory.mktemp("player"))


@pytest.fixture(scope="module")
def page(program, output):
    opened = program.open((output / "report.html").as_uri())
    opened.wait("document.querySelector('.where').textContent")
    yield opened
    assert opened.complaints() == []


@pytest.fixture(autouse=True)
def afresh(request):
    """Every test begins with the page as it is opened."""
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        page.ask("location.hash = ''")
        page.call("Page.reload")
        page.wait("document.readyState === 'complete'")
        settle(page)


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
          const [x, y] = [box.x + scrollX, box.y + scrollY];
          return {{x, y, width: box.width, height: box.height, scale: 1}};
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


def test_it_opens_at_the_worst_frame_of_the_worst_clip(page):
    assert page.text("#player h2") == "Player a&b 50%"
    assert page.text(".where").startswith("frame 010 (11 of 12), 2 after the labelled 008")
    assert "estimated mIoU 50.0 %" in page.text(".where")
    listed = page.ask("[...document.querySelectorAll('.clips li')].map(i => i.dataset.sequence)")
    assert listed == ["a&b 50%", "fine"]
    assert page.text(".shown-clips") == "2 clips listed of 2"
    assert "12 frames, 2 labelled by hand, 1 without label, 1 in doubt" in page.text(".clips")


def everywhere(color):
    return dict.fromkeys(range(4), color)


def test_labels_lie_over_the_frame_and_void_is_striped(page):
    frame = picture(10)[0, 0]
    # The black background begins hidden, and the page says so.
    assert page.text(".hidden-classes") == "Hidden: background."
    road, car = (mixed(frame, color, 0.6) for color in ((0, 200, 0), (0, 0, 200)))
    shot = check(page, {0: frame, 1: road, 2: car})
    void = shot[10:-10, round(shot.shape[1] * 0.8) : -10].reshape(-1, 3)
    assert len(np.unique(void, axis=0)) >= 2 and void.std(axis=0).max() > 30
    page.click(".all-classes")
    check(page, {0: mixed(frame, (0, 0, 0), 0.6)})


def test_layers_go_on_and_off(page):
    frame, orange = picture(10)[0, 0], [255, 89, 0]
    page.click("[data-row=labels] input")
    check(page, everywhere(frame))
    page.set("[data-row=confidence] input[type=range]", 100)
    page.click("[data-row=confidence] input")
    # Viridis at 32 and at 227 of 255.
    check(page, {0: [63, 42, 112], 3: [182, 218, 64]})
    page.click("[data-row=confidence] input")
    page.set("[data-row=doubt] input[type=range]", 100)
    page.click("[data-row=doubt] input")
    check(page, {0: orange, 1: orange, 2: frame})
    page.set(".threshold", 80)
    check(page, {2: orange, 3: frame})
    assert page.text(".threshold-text") == "80 %"
    page.click("[data-row=doubt] input[type=checkbox]")
    page.click("[data-row=image] input")
    assert page.ask("[...document.querySelectorAll('.layer')].every((i) => i.hidden)")


def test_errors_are_shown_where_there_is_truth_and_else_it_is_said(page):
    assert page.text("[data-row=errors] .why") == "this frame has no true label"
    page.set(".view-a .method", "motion-only")
    page.set("[data-row=errors] input[type=range]", 100)
    page.click("[data-row=errors] input")
    page.set(".time", 5)
    assert page.text("[data-row=errors] .why") == ""
    check(page, {2: [230, 30, 60], 3: [128, 128, 128]})
    page.set(".time", 2)
    assert page.text("[data-row=errors] .why") == "labelled by hand"
    page.set(".time", 11)
    assert page.text("[data-row=labels] .why") == "this frame has no label"
    assert "no label" in page.text(".where")
    check(page, everywhere(picture(11)[0, 0]))


def test_borders_alone(page):
    page.click(".borders")
    shot = check(page, everywhere(picture(10)[0, 0]))
    middle = shot[round(shot.shape[0] * 16.5 / 32)]
    white = np.flatnonzero((middle > 250).all(axis=1))
    # One line between two classes, hidden or not.
    groups = np.split(white, np.flatnonzero(np.diff(white) > 3) + 1)
    places = [group.mean() / len(middle) for group in groups]
    assert places == pytest.approx([0.25, 0.5, 0.75], abs=0.02)


def test_two_methods_side_by_side_and_by_a_slider(page):
    road, car = (0, 200, 0), (0, 0, 200)
    page.set("[data-row=labels] input[type=range]", 100)
    page.click("button[data-compare=beside]")
    assert page.ask("document.querySelector('.view-b .method').value") == "motion-only"
    check(page, {2: car}, ".view-a")
    check(page, {2: road}, ".view-b")
    page.click("button[data-compare=wipe]")
    page.set("input.wipe", 50)
    check(page, {1: road, 2: road})
    page.set("input.wipe", 90)
    check(page, {2: car})
    page.set(".view-b .method", "frame alone")
    page.set("input.wipe", 10)
    check(page, {2: picture(10)[0, 0]})
    page.set(".time", 4)
    page.set(".view-b .method", "true labels")
    check(page, {2: car})


def test_classes_are_hidden_and_shown_alone(page):
    frame = picture(10)[0, 0]
    page.set("[data-row=labels] input[type=range]", 100)
    page.click(".legend [data-id='9']")
    check(page, {1: (0, 200, 0), 2: frame})
    page.ask("document.querySelector(\".legend [data-id='9']\").ondblclick()")
    check(page, everywhere(frame) | {2: (0, 0, 200)})
    assert page.text(".hidden-classes") == "Hidden: background, road, void."


def test_every_key(page):
    page.set(".time", 4)
    steps = {
        "ArrowRight": "005", "ArrowLeft": "004", "End": "011", "Home": "000", "k": "002",
        "n": "006", "K": "002", "N": "006",
    }  # fmt: skip
    for key, frame in steps.items():
        page.key(key)
        assert frame_of(page) == frame, key
    page.key("Home")
    page.key("ArrowRight", modifiers=8)
    assert frame_of(page) == "010"
    for number, layer in enumerate(("image", "labels", "confidence", "doubt", "errors"), 1):
        before = page.ask(f"document.querySelector('[data-row={layer}] input').checked")
        page.key(str(number if layer != "errors" else 6))
        assert page.ask(f"document.querySelector('[data-row={layer}] input').checked") != before
    page.key("b")
    assert page.ask("document.querySelector('.borders').checked")
    modes = []
    for _ in range(3):
        page.key("c")
        modes.append(page.ask("document.querySelector('.views').dataset.compare"))
    assert modes == ["beside", "wipe", "one"]
    page.key("]")
    page.wait("document.querySelector('.clip-name').textContent === 'fine'")
    page.key("[")
    page.wait("document.querySelector('.clip-name').textContent === 'a&b 50%'")
    page.key("?")
    assert page.ask("document.querySelector('dialog.help').open")
    page.click("dialog.help button")
    assert not page.ask("document.querySelector('dialog.help').open")


def test_zoom_shows_the_grid_of_pixels_and_drags(page):
    settle(page)
    fit = page.text(".zoom-text")
    page.key("f")
    assert page.text(".zoom-text") == "100 %"
    for _ in range(8):
        page.key("+")
    assert page.text(".zoom-text").endswith("grid of pixels")
    assert not page.ask("document.querySelector('.view-a .grid').hidden")
    at = page.ask(
        """(() => {
          const viewport = document.querySelector('.view-a .viewport');
          viewport.scrollIntoView({block: "center"});
          const b = viewport.getBoundingClientRect();
          return [b.x + b.width / 2, b.y + b.height / 2];
        })()"""
    )
    page.mouse("mouseMoved", *at)
    before = page.text(".pixel")
    assert before.startswith("pixel ")
    place = "document.querySelector('.view-a .stage').style.transform"
    old = page.ask(place)
    page.mouse("mousePressed", *at, button="left", clickCount=1)
    page.mouse("mouseMoved", at[0] - 60, at[1] - 30, button="left", buttons=1)
    page.mouse("mouseReleased", at[0] - 60, at[1] - 30, button="left", clickCount=1)
    assert page.ask(place) != old
    zoomed = page.text(".zoom-text")
    page.mouse("mouseWheel", *at, deltaX=0, deltaY=200)
    page.wait(f"document.querySelector('.zoom-text').textContent !== {json.dumps(zoomed)}")
    page.click("[data-zoom=fit]")
    assert page.text(".zoom-text") == fit
    for name in ("in", "out", "one"):
        page.click(f"[data-zoom={name}]")
    assert page.text(".zoom-text") == "100 %"


def test_it_plays(page):
    page.set(".speed", "25")
    page.set(".time", 0)
    page.click(".play")
    page.wait("document.querySelector('.where').textContent.startsWith('frame 003')")
    page.click(".play")
    held = frame_of(page)
    page.ask("new Promise((done) => setTimeout(done, 200))")
    assert frame_of(page) == held and page.text(".play") == "Play"
    for selector, change in ((".step-on", 1), (".step-back", 0)):
        page.click(selector)
        assert int(frame_of(page)) == int(held) + change
    page.click(".next-key")
    assert frame_of(page) in ("002", "008")
    page.click(".next-doubt")
    assert frame_of(page) == "006"
    page.click(".next-clip")
    page.wait("document.querySelector('.clip-name').textContent === 'fine'")
    page.click(".previous-clip")
    page.wait("document.querySelector('.clip-name').textContent === 'a&b 50%'")


def test_bars_and_rows_lead_to_their_frame(page):
    page.click("canvas.bars")
    assert frame_of(page) in ("005", "006")  # the middle of twelve
    page.wait("document.querySelectorAll('.clips canvas')[1].onclick")
    page.click(".clips li:nth-child(2) canvas")
    page.wait("document.querySelector('.clip-name').textContent === 'fine'")
    assert frame_of(page) in ("005", "006")
    page.click(".fix tbody tr:first-child a")
    page.wait("document.querySelector('.where').textContent.startsWith('frame 010')")
    assert page.ask("decodeURIComponent(location.hash)").startswith("#at=")
    page.click(".clips li:nth-child(1) a")
    page.wait("document.querySelector('.clip-name').textContent === 'a&b 50%'")
    page.ask("location.hash = '#at=fine/nowhere'")
    page.wait(
        "document.querySelector('.where').textContent.startsWith('There is no frame nowhere')"
    )


def test_the_list_is_sorted_and_searched(page):
    first = "document.querySelector('.clips li').dataset.sequence"
    page.set(".order", "least")
    assert page.ask(first) == "fine"  # 35 % against 50 %
    page.set(".order", "name")
    assert page.ask(first) == "fine"  # the order of the video
    page.set(".order", "doubtful")
    assert page.ask(first) == "a&b 50%"
    page.set(".filter", "FIN")
    assert page.ask(first) == "fine"
    assert page.text(".shown-clips") == '1 clip listed of 2; 1 without "FIN" in the name'


def test_the_list_of_frames_to_fix_is_copied(page):
    page.ask("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.click(".copy-list")
    page.wait("document.querySelector('.copied').textContent")
    lines = page.ask("window.copied").splitlines()
    # A tab: names may hold spaces.
    assert len(lines) == 18 and lines[0] == "fine\t010"
    assert page.text(".copied").startswith("18 lines")
    assert page.text(".more-fix") == "show 8 more of the 8 that are not listed here"
    page.click(".more-fix")
    assert page.ask("document.querySelectorAll('.fix tbody tr').length") == 18
    page.click(".exports li:first-child button")
    page.wait("window.copied.includes('--to=cvat')")
    assert "/OUT # 1'" in page.ask("window.copied")


def test_a_clip_without_labels_is_said_to_have_none(page):
    page.ask("location.hash = '#at=elsewhere/004'")
    page.wait("document.querySelector('.where').textContent.startsWith('elsewhere is not listed')")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_screen(page, width, height, dark):
    page.resize(width, height)
    page.is_dark(dark)
    settle(page)
    assert page.ask("document.documentElement.scrollWidth") == width
    cut = page.ask(
        """[...document.querySelectorAll('button, select, input, label, h2, .where')]
          .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
          .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    if SCREENSHOTS:
        name = f"report-{width}{'-dark' if dark else ''}.png"
        page.screenshot(Path(SCREENSHOTS) / name, whole=True)
    page.is_dark(False)
    page.resize(1280, 900)


def test_from_a_server_it_says_which_class_the_mouse_points_at(program, output):
    with ReportServer([output], 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        page = program.open(server.address)
        check(page, {0: picture(10)[0, 0]})  # a frame of the video
        box = page.ask(
            """(() => {
              const b = document.querySelector('.view-a .viewport').getBoundingClientRect();
              return [b.x, b.y, b.width, b.height];
            })()"""
        )
        for share, name in ((0.4, "road"), (0.6, "car"), (0.9, "void")):
            page.mouse("mouseMoved", box[0] + share * box[2], box[1] + box[3] / 2)
            page.wait(f"document.querySelector('.pixel').textContent.endsWith(': {name}')")
        assert page.complaints() == []
        server.shutdown()


def test_it_says_when_the_video_or_the_files_are_gone(program, output, tmp_path):
    moved = tmp_path / "OUT"
    shutil.copytree(output, moved)
    script = moved / "fine" / "frames.js"
    script.write_text(script.read_text().replace("/D/fine/", "/gone/fine/"))
    (moved / "a&b 50%" / "frames.js").unlink()
    page = program.open((moved / "report.html").as_uri())
    page.wait("document.querySelector('.where').textContent.includes('move the whole folder')")
    page.ask("location.hash = '#at=fine/004'")
    page.wait("!document.querySelector('.view-a .missing').hidden")
    assert "The frame cannot be shown: file://" in page.text(".view-a .missing")
    assert page.text(".view-a .missing").endswith("/gone/fine/frames/004.png is gone.")
