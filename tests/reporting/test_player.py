"""The player of the report in a real browser: every control, and what is seen."""

import json

import numpy as np
import pytest
from browser import BROWSER, WHY_NOT
from report_page import check, everywhere, frame_of, mixed, picture, settle

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=WHY_NOT),
    pytest.mark.commands,
]


def test_it_opens_at_the_worst_frame_of_the_worst_clip(page):
    assert page.text("#player h2") == "Player a&b 50%"
    assert page.text(".where").startswith("frame 010 (11 of 12), 2 after the labelled 008")
    assert "estimated mIoU 50.0 %" in page.text(".where")
    listed = page.ask("[...document.querySelectorAll('.clips li')].map(i => i.dataset.sequence)")
    assert listed == ["a&b 50%", "fine"]
    assert page.text(".shown-clips") == "2 clips listed of 2"
    assert "12 frames, 2 labelled by hand, 1 without label, 1 in doubt" in page.text(".clips")


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
