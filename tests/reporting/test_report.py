import base64
import html.parser
import io

import numpy as np
import pytest
from PIL import Image

from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.reporting import film
from wrp_jax.reporting.report import FrameSummary, render_report
from wrp_jax.types import ClassMap

CLASSES = ClassMap(
    ids=(0, 7, 255),
    names=("road", "<script>car", "void"),
    colors=np.array([[128, 64, 128], [0, 0, 142], [10, 20, 30]], np.uint8),
    void=(False, False, True),
)
METHODS = ("static", "motion-only", "warp-refine")


class Page(html.parser.HTMLParser):
    """Collects what a test asks about; knows which elements need no end."""

    void = frozenset({"meta", "img", "input", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def make_window(n=5, size=(17, 31), has_truth=True, sequence="a&b"):
    rng = np.random.default_rng(0)
    key = n // 2
    return film.WindowPictures(
        sequence=sequence,
        key=str(key),
        names=tuple(str(i) for i in range(n)),
        distances=tuple(i - key for i in range(n)),
        images=rng.integers(0, 256, (n, *size, 3), dtype=np.uint8),
        labels={m: rng.integers(0, 3, (n, *size)) for m in METHODS},
        confidence=rng.integers(0, 256, (n, *size), dtype=np.uint8),
        truth=rng.integers(0, 3, (n, *size)),
        has_truth=np.full(n, has_truth) & (np.arange(n) != key),
    )


def make_report(window, scored=True):
    evaluator = Evaluator(CLASSES)
    reliability = {method: Reliability() for method in METHODS}
    key = window.distances.index(0)
    for method in METHODS if scored else ():
        for i, d in enumerate(window.distances):
            if d:
                # Every method better than the one before, by what it takes from the truth.
                share = METHODS.index(method) + 1
                mixed = window.labels[method][i].copy()
                mixed.ravel()[: 100 * share] = window.truth[i].ravel()[: 100 * share]
                evaluator.add(method, abs(d), window.truth[i], mixed)
                sure = np.full(mixed.shape, 0.25 * share)
                reliability[method].add(sure, mixed, window.truth[i], ~np.array(CLASSES.void))
    scores = evaluator.metrics(METHODS)
    for method in METHODS:
        scores[method]["reliability"] = reliability[method].summary()
    frames = [
        FrameSummary(window.sequence, name, i == key, 0.9 - 0.1 * (i == 0))
        for i, name in enumerate(window.names)
    ]
    return render_report(
        title="Labels of <b>",
        classes=CLASSES,
        method="warp-refine",
        metrics={"methods": scores},
        styles={method: ("var(--ink)", "") for method in METHODS},
        frames=frames,
        windows=[window],
        notes=["Mind the <gap>."],
    )


def test_page_is_well_formed_and_self_contained():
    text = make_report(make_window())
    page = Page(text)
    for name in ("src", "href"):
        for _, attrs in page.elements:
            assert attrs.get(name, "data:").startswith(("data:", "#"))
    places = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert {a["href"] for a in page.all("a")} == {f"#{place}" for place in places}
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "<b>" not in text.split("<h1>")[1].split("</h1>")[0]
    assert "<script>car" not in text and "&lt;script&gt;car" in text
    assert "Mind the &lt;gap&gt;." in text


def test_every_method_has_a_picture_of_every_frame():
    page = Page(make_report(make_window(n=5)))
    rows = [a["data-row"] for a in page.all("tr") if "data-row" in a]
    assert rows == [
        "frame",
        "truth",
        *METHODS,
        *(f"errors {m}" for m in METHODS),
        "confidence",
    ]
    pictures = [a for a in page.all("img") if a.get("width")]
    assert len(pictures) == 5 * len(rows)
    # The labelled frame has neither truth nor errors to show.
    assert sum(a.get("class") == "missing" for a in pictures) == 1 + len(METHODS)
    shown = next(a for a in pictures if a.get("alt") == "warp-refine, frame 3")
    png = Image.open(io.BytesIO(base64.b64decode(shown["src"].split(",")[1])))
    assert png.size == (31, 17)


def test_summary_names_the_gain_and_the_best_other_method():
    window = make_window()
    text = make_report(window)
    assert "From 1 frame labelled by hand, warp-refine labelled 4 more frames" in text
    assert "above motion-only, the best other method" in text


def test_the_confidence_of_every_method_is_set_against_its_accuracy():
    text = make_report(make_window())
    page = Page(text)
    points = [a for a in page.all("circle") if a.get("class") == "share"]
    assert len(points) == len(METHODS)  # one confidence each, so one bin
    # At 25, 50 and 75 % confidence, evenly along the axis.
    x = [float(p["cx"]) for p in points]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.11) and x[1] > x[0]
    assert text.count("% right at confidence 75.0 %, 100.0 % of the pixels") == 1
    section = text.split("Can the confidence be believed?")[1].split("</section>")[0]
    table = section.split("<tbody>")[1]
    assert [table.count(f">{name}</th>") for name in METHODS] == [1, 1, 1]
    assert "<td>50.0</td>" in table.split(">motion-only</th>")[1].split("</tr>")[0]
    assert "Can the confidence" not in make_report(make_window(has_truth=False), scored=False)


def test_without_truth_it_says_where_to_look():
    text = make_report(make_window(has_truth=False), scored=False)
    page = Page(text)
    assert "No other frame has a true label" in text
    assert "a&amp;b/0" in text  # the least sure frame
    assert not [a for a in page.all("table") if a.get("class") == "scores"]
    assert "errors" not in {a.get("data-row", "").split()[0] for a in page.all("tr") if a}


def test_long_windows_keep_the_labelled_frame_and_a_bounded_number():
    at = film.frames_to_show(203, [3])
    assert len(at) <= film.MAX_FRAMES and 3 in at and list(at) == sorted(set(at))
    assert at[0] == 0 and at[-1] == 202


@pytest.mark.parametrize("shape", [(1, 1), (17, 31), (1080, 1920), (30, 9000)])
def test_pictures_are_bounded(shape):
    labels = np.zeros(shape, np.int32)
    small = film.shrink_labels(labels)
    image = film.shrink_image(np.zeros((*shape, 3), np.uint8))
    assert image.shape[:2] == small.shape
    assert small.size <= film.MAX_PIXELS * 1.05


def test_shrinking_takes_labels_as_they_are():
    labels = np.kron(np.array([[3, 7], [9, 250]]), np.ones((400, 600), int))
    small = film.shrink_labels(labels)
    assert set(np.unique(small)) == {3, 7, 9, 250}
    h, w = small.shape
    assert (small[: h // 2, : w // 2] == 3).all() and (
        small[-h // 2 + 1 :, w // 2 + 1 :] == 250
    ).all()


class Bars(html.parser.HTMLParser):
    """``{class: {method: (score, width)}}`` of the bars per class."""

    def __init__(self, text):
        super().__init__()
        self.found, self._name, self._method, self._heading = {}, "", "", False
        self.feed(text.split('<div class="classes">')[1].split("</section>")[0])

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._heading = self._heading or tag == "h3"
        if attrs.get("class", "").startswith("bar-row"):
            self._method, score = attrs["title"].split(": ")
            self.found[self._name][self._method] = float(score)
        elif tag == "i":
            style = dict(part.split(":") for part in attrs["style"].split(";"))
            width = float(style["width"].removesuffix("%"))
            self.found[self._name][self._method] = (self.found[self._name][self._method], width)

    def handle_data(self, data):
        if self._heading:
            self._name, self._heading = data, False
            self.found[data] = {}


def test_every_class_has_a_bar_of_each_method_as_long_as_its_score():
    bars = Bars(make_report(make_window())).found
    assert list(bars) == ["mean over classes", *CLASSES.names]
    for of_class in bars.values():
        assert list(of_class) == list(METHODS)
        assert all(score == width for score, width in of_class.values())
    assert len({pair for of_class in bars.values() for pair in of_class.values()}) > 8
