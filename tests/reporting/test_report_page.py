"""The report in a real browser around its player: lists, links, sizes, and where its files lie."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from browser import BROWSER, WHY_NOT
from report_page import check, frame_of, picture, settle

from wrp_jax.reporting.server import ReportServer

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=WHY_NOT),
    pytest.mark.commands,
]

SCREENSHOTS = os.environ.get("SCREENSHOTS")


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


def test_a_class_leads_to_the_frame_where_it_is_worst(page):
    assert page.text(".class-bars .worst") == "worst in a&b 50% 004, 12.5"
    page.click(".class-bars .worst a")
    page.wait("document.querySelector('.where').textContent.startsWith('frame 004')")
    assert page.text(".clip-name") == "a&b 50%"


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
    assert "/OUT # 1' cvat.zip --to=cvat --data=" in page.ask("window.copied")
    assert page.text(".lowest") == "30"  # the worst frame is at 35 %


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
