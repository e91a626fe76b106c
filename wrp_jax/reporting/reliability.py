"""The page and the drawing about the confidence of g_ψ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from wrp_jax.reporting.curves import reliability_chart

_STYLES = {"calibrated": ("#06c", ""), "uncalibrated": ("#c40", "6 4")}
_LINES = ".rule{stroke:#ccc;fill:none}polyline{fill:none;stroke-width:2}"
_DRAWING = f"<style>svg{{background:#fff;font:12px sans-serif}}{_LINES}</style>"
_PAGE = Markup(
    "<!doctype html><meta charset=utf-8><title>Reliability</title>"
    "<style>body{{font:15px/1.5 system-ui;margin:2em auto;max-width:52em;padding:0 1em}}"
    "td,th{{padding:.1em .8em;text-align:right}}td:first-child{{text-align:left}}{}</style>"
    "<h1>Reliability of the segmentation</h1>{}"
)


def _chart(scores: Mapping[str, Any]) -> Markup:
    return reliability_chart({key: scores[key]["curve"] for key in _STYLES}, _STYLES)


def reliability_drawing(scores: Mapping[str, Any]) -> str:
    """The curves of `evaluation.segmentation.score_segmentation`'s result as an SVG file."""
    head, _, rest = _chart(scores).partition(">")
    return f"{head}>{_DRAWING}{rest}\n"


def reliability_page(scores: Mapping[str, Any]) -> str:
    """The page about `evaluation.segmentation.score_segmentation`'s result."""
    both = {key: scores[key] for key in _STYLES}
    rows = [
        Markup("<tr><td>{}</td><td>{:.4f}</td>{}</tr>").format(
            key,
            values["expected_error"],
            Markup("").join(
                Markup("<td>{:.1f} % of {:.1f} %</td>").format(
                    100 * kept["accuracy"], 100 * kept["share"]
                )
                for kept in values["thresholds"].values()
            ),
        )
        for key, values in both.items()
    ]
    heads = Markup("").join(
        Markup("<th>above {}</th>").format(threshold)
        for threshold in both["calibrated"]["thresholds"]
    )
    classes = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td></tr>").format(
            name, "none" if value is None else f"{value:.1f}"
        )
        for name, value in scores["iou"].items()
    )
    body = Markup(
        "<p>mIoU {:.1f} %; temperature {:.3f} (solid: with it; dashed: without).</p>{}"
        "<table><tr><th></th><th>expected error</th>{}</tr>{}</table>"
        "<h2>IoU by class, %</h2><table>{}</table>"
    ).format(
        scores["miou"],
        scores["temperature"],
        _chart(scores),
        heads,
        Markup("").join(rows),
        classes,
    )
    return _PAGE.format(Markup(_LINES), body)
