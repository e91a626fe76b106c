"""``report.html``: one page about a set of propagated labels, which lie beside it.

Scores where true labels are known; all clips, the worst first; a player for the labels, and the
frames to fix. The page holds its scripts and styles, and no pictures: those it loads when they are
looked at, from the folder around it and from the video. Everything that comes from a file name or
a class name is escaped.
"""

from __future__ import annotations

import importlib.resources
import json
import shlex
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np
from markupsafe import Markup

from wrp_jax.reporting.clips import Clip, FrameRow, least_sure, worst_first
from wrp_jax.reporting.curves import (
    Styles,
    curve_chart,
    line_sample,
    reliability_chart,
    threshold_chart,
)
from wrp_jax.reporting.overlays import VIRIDIS
from wrp_jax.types import ClassMap

_STYLES = ("report.css", "player.css")
_SCRIPTS = ("page.js", "clip_list.js", "filters.js", "stage.js", "player.js", "fix_list.js")
_LOOK_AT = 20
"""Frames that the page proposes to look at where nothing else has chosen any."""
_SEEN = 5.0
"""Percentage points of the lowest bar that are drawn at least: no bar is no label."""
_TOOLS = {
    "CVAT": "cvat.zip --to=cvat",
    "Label Studio": "label-studio --to=label-studio",
    "COCO panoptic": "coco --to=coco-panoptic",
    "PASCAL VOC": "voc --to=voc",
    "FiftyOne": "fiftyone --to=fiftyone",
}


class Proposal(NamedTuple):
    """Frames to fix next.

    Attributes:
      what: how they were chosen, in a sentence.
      columns: headings, of which the first two are sequence and frame.
      rows: one per frame, in order.
    """

    what: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class ClassQuality(NamedTuple):
    """How good the labels of a class are, of the main method.

    Attributes:
      estimate: mean estimated IoU over the frames that show it, in %; None where it is unknown.
      sequence, frame: where its IoU is lowest: the true one, the estimated one without any truth.
      iou: there, in %.
      is_estimate: no true label shows the class.
    """

    estimate: float | None
    sequence: str
    frame: str
    iou: float
    is_estimate: bool

    @property
    def address(self) -> str:
        """Of the worst frame in the page."""
        parts = (urllib.parse.quote(part, safe="") for part in (self.sequence, self.frame))
        return "#at=" + "/".join(parts)


class ThresholdCurve(NamedTuple):
    """A threshold that was chosen without true labels, and what it was chosen by.

    Attributes:
      value: the candidate that was taken.
      curve: mIoU in %, by candidate.
      what: a reader must know of it, in a sentence or two.
    """

    value: float
    curve: Mapping[float, float]
    what: str


def render_report(
    *,
    title: str,
    classes: ClassMap,
    method: str,
    metrics: Mapping[str, Any],
    styles: Styles,
    clips: Sequence[Clip],
    proposal: Proposal | None = None,
    class_quality: Mapping[str, ClassQuality] | None = None,
    tau: ThresholdCurve | None = None,
    video: str = "D",
    notes: Sequence[str] = (),
    footer: str = "",
) -> str:
    """The page as text.

    Args:
      title: heading.
      classes: names and colours.
      method: the main method: the one whose labels are the output.
      metrics: what ``metrics.json`` holds; its ``methods`` may be without scores.
      styles: how charts draw each of the methods.
      clips: every clip of the output, in order.
      proposal: frames to fix next; None: those that are least sure.
      class_quality: by name of the class, where something is known of it.
      tau: of eq. 6; None where it was not chosen.
      video: what was labelled, as commands name it.
      notes: sentences that a reader must not miss.
      footer: how the page was made.
    """
    scored = {n: m for n, m in metrics["methods"].items() if m["miou"]}
    frames = [frame for clip in clips for frame in clip.frames]
    curves = {n: m["miou"] for n, m in scored.items()}
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(page_resource("report.html.jinja"))
    distances = sorted({int(k) for m in scored.values() for k in m["miou"]})
    proposal = proposal or _least_sure(clips)
    return template.render(
        title=title,
        css=Markup("\n".join(map(page_resource, _STYLES))),
        js=Markup("\n".join(map(page_resource, _SCRIPTS))),
        data=_script_data(clips, proposal, classes, method, list(metrics["methods"])),
        method=method,
        summary=_summary(method, scored, frames, distances, classes),
        facts=_facts(method, scored, frames, distances),
        notes=notes,
        chart=curve_chart(curves, styles, emphasis=method),
        narrow_chart=curve_chart(curves, styles, emphasis=method, is_narrow=True),
        distances=distances,
        table=_table(scored, distances, styles),
        class_bars=_class_bars(scored, classes, styles, method, class_quality or {}),
        reliability=reliability_chart(
            {name: m["reliability"]["curve"] for name, m in scored.items()},
            styles,
            emphasis=method,
        ),
        reliability_table=_reliability_table(scored, styles),
        tau=tau,
        tau_chart=threshold_chart(tau.curve, tau.value, "τ") if tau else "",
        fix=proposal,
        exports=_export_commands(video),
        footer=footer,
    )


def _script_data(
    clips: Sequence[Clip],
    proposal: Proposal,
    classes: ClassMap,
    method: str,
    methods: Sequence[str],
) -> Markup:
    """What the scripts of the page read, as JSON that ends no element of the page."""
    order = {clip.sequence: place for place, clip in enumerate(clips)}
    rows = zip(classes.ids, classes.names, classes.colors.tolist(), classes.void, strict=True)
    content = {
        "method": method,
        "methods": methods,
        "classes": [{"id": i, "name": n, "color": c, "void": v} for i, n, c, v in rows],
        "clips": [{**line, "place": order[line["sequence"]]} for line in worst_first(clips)],
        "hasEstimates": any(frame.miou is not None for clip in clips for frame in clip.new),
        "floor": _floor(clips),
        "viridis": VIRIDIS,
        "fix": proposal._asdict(),
    }
    text = json.dumps(content, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def _floor(clips: Sequence[Clip]) -> int:
    """Where bars begin: at the ten per cent clearly below the worst frame, whose bar is seen."""
    new = [frame for clip in clips for frame in clip.new]
    values = [100.0 * (f.confidence or 0.0) if f.miou is None else f.miou for f in new]
    return max(int((min(values, default=100.0) - _SEEN) // 10), 0) * 10


def _least_sure(clips: Sequence[Clip]) -> Proposal:
    found = least_sure(clips, _LOOK_AT)
    is_rated = any(frame.miou is not None for frame in found)
    measure = "estimated mIoU (%)" if is_rated else "confidence (%)"
    values = [f.miou if is_rated else 100.0 * (f.confidence or 0.0) for f in found]
    return Proposal(
        f"The {counted(len(found), 'frame')} with the lowest "
        f"{'estimated mIoU' if is_rated else 'mean confidence'}. Labels of some of them, given to "
        "the next run, improve those around them.",
        ("sequence", "frame", measure),
        [
            (f.sequence, f.name, f"{value:.1f}")
            for f, value in zip(found, values, strict=True)
            if value is not None
        ],
    )


def _export_commands(video: str) -> list[tuple[str, str]]:
    """By tool; the page puts its own folder in the place of ``OUT``."""
    return [
        (tool, f"wrp export OUT {rest} --data={shlex.quote(video)} --frames=LIST")
        for tool, rest in _TOOLS.items()
    ]


def page_resource(name: str) -> str:
    """A file of the pages, as text."""
    return importlib.resources.files("wrp_jax.reporting").joinpath("web", name).read_text("utf-8")


def _hex(color: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(c) for c in color))


def counted(number: int, noun: str) -> str:
    """A number of things, such as ``1 frame`` and ``2 frames``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _summary(method, methods, frames, distances, classes: ClassMap) -> list[str]:
    """What happened, in words."""
    keys, new = sum(f.is_key for f in frames), _new(frames)
    where = counted(len({f.sequence for f in frames}), "sequence")
    out = [
        f"From {counted(keys, 'frame')} labelled by hand, {method} labelled "
        f"{counted(len(new), 'more frame')} in {where}."
    ]
    if method in methods:
        scores = methods[method]
        ends = [scores["miou"][str(k)] for k in distances if str(k) in scores["miou"]]
        text = f"Against the true labels it scores {scores['mean']:.1f} % mIoU on average"
        if len(ends) > 1:
            text += (
                f", from {ends[0]:.1f} next to the labelled frame to {ends[-1]:.1f} at "
                f"±{distances[-1]}"
            )
        others = {n: m["mean"] for n, m in methods.items() if n != method}
        if others:
            best = max(others, key=lambda n: others[n])
            gain = scores["mean"] - others[best]
            side = "above" if gain >= 0 else "below"
            text += f"; that is {abs(gain):.1f} {side} {best}, the best other method"
        out.append(text + ".")
        void = {n for n, is_void in zip(classes.names, classes.void, strict=True) if is_void}
        means = {n: s["mean"] for n, s in scores["iou_per_class"].items() if n not in void}
        weak = sorted(means, key=lambda n: means[n])[:3]
        weak_text = ", ".join(f"{n} ({means[n]:.0f})" for n in weak if means[n] < 60)
        if weak_text:
            out.append(f"Weakest classes (IoU in %), worth a check by hand first: {weak_text}.")
    elif new:
        low = sorted(new, key=lambda f: f.confidence or 0.0)[:3]
        out.append(
            "No other frame has a true label, so there is no score. The least sure frames, worth "
            "a look first: " + ", ".join(f"{f.sequence}/{f.name}" for f in low) + "."
        )
    return out


def _new(frames: Sequence[FrameRow]) -> list[FrameRow]:
    return [f for f in frames if f.confidence is not None and not f.is_key]


def _facts(method, methods, frames, distances) -> list[tuple[str, str]]:
    keys, new = sum(f.is_key for f in frames), _new(frames)
    facts = [
        (f"{len(new):,}", "frames labelled by the program"),
        (f"{keys:,}", "frames labelled by hand"),
    ]
    if method in methods:
        scores = methods[method]
        facts.append((f"{scores['mean']:.1f}", f"mIoU of {method}, mean over distances"))
        far = str(distances[-1])
        if far in scores["miou"]:
            facts.append((f"{scores['miou'][far]:.1f}", f"mIoU at ±{far} frames"))
    if new:
        sure = 100 * np.mean([f.confidence or 0.0 for f in new])
        facts.append((f"{sure:.0f} %", "mean confidence of new labels"))
    rated = [f.miou for f in new if f.miou is not None]
    if rated:
        facts.append((f"{np.mean(rated):.0f} %", "estimated mIoU of new labels"))
    doubtful = sum(f.doubt is not None for f in new)
    if doubtful:
        facts.append((f"{doubtful:,}", "frames in doubt"))
    empty = sum(f.confidence is None for f in frames)
    if empty:
        facts.append((f"{empty:,}", "frames of these clips without a label"))
    return facts


def _table(methods, distances, styles) -> list[dict[str, Any]]:
    keys = [str(k) for k in distances]
    columns = [
        *(lambda m, k=k: m["miou"].get(k) for k in keys),
        lambda m: m["mean"],
        lambda m: m["mean_with_void"],
        lambda m: m["mean_interior"],
    ]
    best = []
    for column in columns:
        values = [v for v in map(column, methods.values()) if v is not None]
        best.append(max(values, default=None))
    rows = []
    for name, scores in methods.items():
        values = [column(scores) for column in columns]
        cells = [
            ("–" if v is None else f"{v:.1f}", v is not None and v == top)
            for v, top in zip(values, best, strict=True)
        ]
        rows.append(
            {
                "name": name,
                "color": styles[name][0],
                "line": line_sample(styles[name]),
                "cells": cells,
            }
        )
    return rows


def _class_bars(
    methods,
    classes: ClassMap,
    styles: Styles,
    method: str,
    quality: Mapping[str, ClassQuality],
) -> list[dict[str, Any]]:
    """Paper, Fig. 5: IoU of each class per method, averaged over distances; the mean first.

    Without any truth, the estimates of the main method.
    """

    def bars(values):
        return [
            {
                "name": name,
                "text": f"{v:.1f}",
                "width": f"{max(v, 0):.1f}",
                "color": styles[name][0],
            }
            for name, v in values.items()
            if v is not None
        ]

    out: list[dict[str, Any]] = []
    if methods:
        means = bars({n: m["mean"] for n, m in methods.items()})
        out.append({"name": "mean over classes", "color": "transparent", "bars": means})
    for class_name, color in zip(classes.names, classes.colors, strict=True):
        values = {
            n: m["iou_per_class"][class_name]["mean"]
            for n, m in methods.items()
            if class_name in m["iou_per_class"]
        }
        known = quality.get(class_name)
        if not methods and known:
            values = {method: known.estimate}
        if values:
            row = {"name": class_name, "color": _hex(color), "bars": bars(values), "worst": known}
            out.append(row)
    return out


def _reliability_table(methods, styles) -> list[dict[str, Any]]:
    keys = ("expected_error", "confidence", "accuracy")
    return [
        {
            "name": name,
            "color": styles[name][0],
            "cells": [
                "unknown" if value is None else f"{100 * value:.1f}"
                for value in map(m["reliability"].get, keys)
            ],
        }
        for name, m in methods.items()
    ]
