"""``report.html``: one self-contained page about a set of propagated labels.

Scores where true labels are known, pictures and confidence in any case. Everything that comes
from a file name or a class name is escaped by the template.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from wrp_jax.reporting.curves import Styles, curve_chart, reliability_chart, strip_chart
from wrp_jax.reporting.film import WindowPictures, film
from wrp_jax.types import ClassMap

MAX_STRIPS = 40


@dataclasses.dataclass(frozen=True)
class FrameSummary:
    """One labelled frame of the output.

    Attributes:
      sequence, name: the frame.
      is_key: labelled by hand.
      confidence: mean over the picture, 0 … 1.
    """

    sequence: str
    name: str
    is_key: bool
    confidence: float


def render_report(
    *,
    title: str,
    classes: ClassMap,
    method: str,
    metrics: Mapping[str, Any],
    styles: Styles,
    frames: Sequence[FrameSummary],
    windows: Sequence[WindowPictures],
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
      frames: all frames of the output, in order.
      windows: the windows that are shown in pictures.
      notes: sentences that a reader must not miss.
      footer: how the page was made.
    """
    methods = {n: m for n, m in metrics["methods"].items() if m["miou"]}
    # Bars of confidence begin at the ten per cent below the least sure frame.
    lowest = min((f.confidence for f in frames if not f.is_key), default=1.0)
    floor = min(int(lowest * 10), 9) / 10
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_resource("report.html.jinja"))
    distances = sorted({int(k) for m in methods.values() for k in m["miou"]})
    return template.render(
        title=title,
        css=Markup(_resource("report.css")),
        js=Markup(_resource("report.js")),
        method=method,
        summary=_summary(method, methods, frames, distances, classes),
        facts=_facts(method, methods, frames, distances),
        notes=notes,
        chart=curve_chart({n: m["miou"] for n, m in methods.items()}, styles, emphasis=method),
        distances=distances,
        table=_table(methods, distances, styles),
        class_bars=_class_bars(methods, classes, styles),
        reliability=reliability_chart(
            {name: m["reliability"]["curve"] for name, m in methods.items()},
            styles,
            emphasis=method,
        ),
        reliability_table=_reliability_table(methods, styles),
        strips=_strips(frames, method, floor),
        strip_floor=round(100 * floor),
        legend=[
            {"name": name, "color": _hex(color)}
            for name, color in zip(classes.names, classes.colors, strict=True)
        ],
        windows=[film(window, classes, method) for window in windows],
        footer=footer,
    )


def _resource(name: str) -> str:
    return importlib.resources.files("wrp_jax.reporting").joinpath(name).read_text("utf-8")


def _hex(color: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(c) for c in color))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _summary(method, methods, frames, distances, classes: ClassMap) -> list[str]:
    """What happened, in words."""
    keys = sum(f.is_key for f in frames)
    new = [f for f in frames if not f.is_key]
    where = _count(len({f.sequence for f in frames}), "sequence")
    out = [
        f"From {_count(keys, 'frame')} labelled by hand, {method} labelled "
        f"{_count(len(new), 'more frame')} in {where}."
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
        low = sorted(new, key=lambda f: f.confidence)[:3]
        out.append(
            "No other frame has a true label, so there is no score. The least sure frames, worth "
            "a look first: " + ", ".join(f"{f.sequence}/{f.name}" for f in low) + "."
        )
    return out


def _facts(method, methods, frames, distances) -> list[tuple[str, str]]:
    keys = sum(f.is_key for f in frames)
    facts = [
        (f"{len(frames) - keys:,}", "frames labelled by the program"),
        (f"{keys:,}", "frames labelled by hand"),
    ]
    if method in methods:
        scores = methods[method]
        facts.append((f"{scores['mean']:.1f}", f"mIoU of {method}, mean over distances"))
        far = str(distances[-1])
        if far in scores["miou"]:
            facts.append((f"{scores['miou'][far]:.1f}", f"mIoU at ±{far} frames"))
    new = [f.confidence for f in frames if not f.is_key]
    if new:
        facts.append((f"{100 * np.mean(new):.0f} %", "mean confidence of new labels"))
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
        rows.append({"name": name, "color": styles[name][0], "cells": cells})
    return rows


def _class_bars(methods, classes: ClassMap, styles: Styles) -> list[dict[str, Any]]:
    """Paper, Fig. 5: IoU of each class per method, averaged over distances; the mean first."""

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

    out = [
        {
            "name": "mean over classes",
            "color": "transparent",
            "bars": bars({n: m["mean"] for n, m in methods.items()}),
        }
    ]
    for class_name, color in zip(classes.names, classes.colors, strict=True):
        values = {
            n: m["iou_per_class"][class_name]["mean"]
            for n, m in methods.items()
            if class_name in m["iou_per_class"]
        }
        if values:
            out.append({"name": class_name, "color": _hex(color), "bars": bars(values)})
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


def _strips(frames: Sequence[FrameSummary], method: str, floor: float) -> list[dict[str, Any]]:
    """A strip of confidence per sequence, the least sure sequences first when there are many."""
    sequences: dict[str, list[FrameSummary]] = {}
    for frame in frames:
        sequences.setdefault(frame.sequence, []).append(frame)
    out = []
    for name, members in sequences.items():
        new = [f.confidence for f in members if not f.is_key]
        mean = float(np.mean(new)) if new else 1.0
        out.append(
            {
                "name": name,
                "mean": mean,
                "text": f"{_count(len(members), 'frame')}, confidence {100 * mean:.0f} %",
                "svg": strip_chart(
                    [f.name for f in members],
                    [f.confidence for f in members],
                    [f.is_key for f in members],
                    floor=floor,
                    label=f"confidence of {method} in {name}",
                ),
            }
        )
    return out if len(out) <= MAX_STRIPS else sorted(out, key=lambda s: s["mean"])[:MAX_STRIPS]
