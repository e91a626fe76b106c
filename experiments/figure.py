"""mIoU by distance as a figure: ``python -m experiments.figure FIGURE.svg NAME=OUT[:METHOD]...``.

``OUT`` is an output of ``propagate.py``; its main method is drawn unless another is named. Or it
is a run of ``experiments.learning_curve``, whose mIoU is drawn by steps, ``:plain`` for the weights
without moving average. The first curve is drawn heavier, on top of the others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 180, 14, 52
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555", "#e69f00", "#56b4e9", "#8c564b")


def draw(
    curves: Mapping[str, Mapping[str, float]], across: str = "frames from the labelled one"
) -> str:
    """A line per name, labelled at its end, as SVG.

    Args:
      curves: mIoU in % by distance in frames or by steps, by name.
      across: title of the horizontal axis.
    """
    lines = {n: sorted((int(k), v) for k, v in curve.items()) for n, curve in curves.items()}
    values = [v for line in lines.values() for _, v in line]
    low, high = 5 * int(min(values) // 5), 5 * int(-(-max(values) // 5))
    longest = [k for k, _ in max(lines.values(), key=lambda line: line[-1][0])]
    first, last = min(line[0][0] for line in lines.values()), longest[-1]

    def place(k: float, v: float) -> tuple[float, float]:
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * (k - first) / max(last - first, 1)
        return x, HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (v - low) / max(high - low, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for v in range(low, high + 1, 5):
        (x0, y), (x1, _) = place(first, v), place(last, v)
        parts.append(f'<path d="M{x0:.0f} {y:.1f}H{x1:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 - 8:.0f}" y="{y + 4:.1f}" text-anchor="end">{v}</text>')
    for k in longest:
        x, y = place(k, low)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{k}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2, (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{middle[0]:.0f}" y="{HEIGHT - 12}" text-anchor="middle" fill="#555">'
        f"{escape(across)}</text>"
        f'<text transform="translate(18 {middle[1]:.0f}) rotate(-90)" text-anchor="middle" '
        'fill="#555">mIoU (%)</text>'
    )
    # Labels stand where their lines end, moved down as far as the one above asks for.
    ends = sorted((place(*line[-1])[1], name) for name, line in lines.items())
    heights: dict[str, float] = {}
    for y, name in ends:
        heights[name] = max([y, *(h + 15 for h in heights.values())])
    first_name = next(iter(lines))
    styled = list(zip(lines.items(), _COLORS * len(lines), strict=False))
    for (name, line), color in reversed(styled):
        heavy = name == first_name and len(lines) > 1
        thick, weight = ("3.5", ' font-weight="bold"') if heavy else ("2", "")
        path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" '
            f'stroke-width="{thick}" stroke-linejoin="round"/>'
        )
        x, y = place(last, 0)[0] + 8, heights[name] + 4
        parts.append(f'<text x="{x:.0f}" y="{y:.1f}" fill="{color}"{weight}>{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Reads the scores and writes the figure."""
    figure, *items = arguments
    curves, across = {}, "frames from the labelled one"
    for item in items:
        name, _, out = item.partition("=")
        out, _, method = out.partition(":")
        learning = Path(out) / "curve.json"
        if learning.exists():
            across = "training steps"
            steps = json.loads(learning.read_text())[method or "average"]
            curves[name] = {step: scores["miou"] for step, scores in steps.items()}
            continue
        metrics = json.loads((Path(out) / "metrics.json").read_text())
        curves[name] = metrics["methods"][method or metrics["method"]]["miou"]
    Path(figure).write_text(draw(curves, across))


if __name__ == "__main__":
    main(sys.argv[1:])
