"""Charts as inline SVG. Colours are the CSS variables of the page, so they follow its theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 760, 380
NARROW_WIDTH = 400
SIDE = 400
LEAST_SHARE = 1e-4
"""Of the pixels: the accuracy of a handful of them is chance."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 150, 16, 46
_NARROW_RIGHT = 16

Styles = Mapping[str, tuple[str, str]]
"""By name of a curve: its colour in CSS, and its dash pattern as in SVG (empty: solid)."""


def curve_chart(
    curves: Mapping[str, Mapping[str, float]],
    styles: Styles,
    *,
    emphasis: str,
    y_label: str = "mIoU (%)",
    is_narrow: bool = False,
) -> Markup:
    """Score against the distance from the labelled frame, a line per method (paper, Fig. 1).

    Args:
      curves: score 0 … 100 by distance, by method.
      styles: of the methods.
      emphasis: the method drawn in a heavier line.
      y_label: title of the vertical axis.
      is_narrow: for telephones, without the names at the ends of the lines: a legend has them.

    Returns:
      An ``<svg>``, or nothing when there is no point.
    """
    points = {name: sorted((int(k), v) for k, v in curve.items()) for name, curve in curves.items()}
    values = [v for line in points.values() for _, v in line]
    if not values:
        return Markup("")
    distances = sorted({k for line in points.values() for k, _ in line})
    low, high, step = _value_range(values)
    width, right = (NARROW_WIDTH, _NARROW_RIGHT) if is_narrow else (WIDTH, _RIGHT)

    def x_of(k: int) -> float:
        span = max(distances[-1] - distances[0], 1)
        return _LEFT + (width - _LEFT - right) * (k - distances[0]) / span

    def y_of(v: float | int) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (high - v) / (high - low)

    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            width, HEIGHT, f"{y_label} by distance from the labelled frame"
        )
    ]
    every = -(-len(distances) // (6 if is_narrow else 12))
    ticks = {x_of(k): f"±{k}" for k in distances[::every]}
    values_at = {value: y_of(value) for value in range(low, high + 1, step)}
    parts += _axes(ticks, values_at, (width, right), "frames from the labelled one", y_label)
    # The emphasised line is drawn last, on top.
    for name in sorted(points, key=lambda n: n == emphasis):
        parts.append(_line(name, points[name], styles[name], x_of, y_of, heavy=name == emphasis))
    ends = {name: y_of(line[-1][1]) for name, line in points.items() if line}
    for name, y in () if is_narrow else _spread(ends).items():
        parts.append(
            Markup('<text class="end{}" x="{}" y="{:.1f}" style="fill:{}">{}</text>').format(
                " heavy" if name == emphasis else "",
                width - right + 12,
                y + 4,
                styles[name][0],
                name,
            )
        )
    return Markup("").join(parts) + Markup("</svg>")


def threshold_chart(curve: Mapping[float, float], chosen: float, x_label: str) -> Markup:
    """Draws mIoU by the value of a threshold; candidates stand at equal distances.

    Args:
      curve: mIoU in % by candidate.
      chosen: the candidate that was taken, drawn filled.
      x_label: title of the horizontal axis.
    """
    candidates = sorted(curve)
    low, high, step = _value_range(list(curve.values()))
    width, right = NARROW_WIDTH, _NARROW_RIGHT
    end = width - right - 12

    def x_of(value: float) -> float:
        place = candidates.index(value) / max(len(candidates) - 1, 1)
        return _LEFT + 12 + (end - _LEFT - 12) * place

    def y_of(v: float | int) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (high - v) / (high - low)

    ticks = {x_of(value): f"{value:g}" for value in candidates}
    values_at = {value: y_of(value) for value in range(low, high + 1, step)}
    parts = [
        Markup(
            '<svg class="chart threshold" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        ).format(width, HEIGHT, f"mIoU by {x_label}"),
        *_axes(ticks, values_at, (width, right), x_label, "mIoU (%)"),
        Markup('<g class="line" style="color:var(--inpaint)"><polyline points="{}"/>').format(
            " ".join(f"{x_of(value):.1f},{y_of(curve[value]):.1f}" for value in candidates)
        ),
    ]
    for value in candidates:
        is_chosen = value == chosen
        parts.append(
            Markup('<circle{} cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
                Markup(' class="chosen"') if is_chosen else "",
                x_of(value), y_of(curve[value]), 6 if is_chosen else 3,
                f"{value:g}: {curve[value]:.1f}{', chosen' if is_chosen else ''}",
            )
        )  # fmt: skip
    return Markup("").join(parts) + Markup("</g></svg>")


def line_sample(style: tuple[str, str]) -> Markup:
    """A piece of a method's line, for a legend."""
    return Markup(
        '<svg class="sample" viewBox="0 0 36 12" aria-hidden="true"><path d="M0 6H36" '
        'style="stroke:{}" stroke-width="3" stroke-dasharray="{}"/></svg>'
    ).format(*style)


def reliability_chart(
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    styles: Styles,
    *,
    emphasis: str = "",
) -> Markup:
    """Share of right labels against confidence; an honest confidence lies on the diagonal.

    Args:
      curves: of `Reliability.curve`, by name; the area of a point is its share of the pixels, and
        those of less than `LEAST_SHARE` are left out.
      styles: of the curves.
      emphasis: the curve drawn in a heavier line, on top.

    Returns:
      An ``<svg>``, or nothing when there is no point.
    """
    if not any(curves.values()):
        return Markup("")

    def x_of(v: float) -> float:
        return _LEFT + (SIDE - _LEFT - _TOP) * v

    def y_of(v: float) -> float:
        return _TOP + (SIDE - _TOP - _BOTTOM) * (1.0 - v)

    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" class="chart reliability" '
            'viewBox="0 0 {0} {0}" width="{0}" role="img" '
            'aria-label="share of right labels by confidence">'
        ).format(SIDE)
    ]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            Markup(
                '<path class="rule" d="M{:.1f} {:.1f}V{:.1f}M{:.1f} {:.1f}H{:.1f}"/>'
                '<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{:.0f}</text>'
                '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:.0f}</text>'
            ).format(
                x_of(value), y_of(0.0), y_of(1.0), x_of(0.0), y_of(value), x_of(1.0),
                x_of(value), y_of(0.0) + 18, 100 * value,
                _LEFT - 8, y_of(value) + 4, 100 * value,
            )
        )  # fmt: skip
    parts.append(
        Markup(
            '<path class="rule honest" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>'
            '<text class="axis" x="{}" y="{}" text-anchor="middle">confidence (%)</text>'
            '<text class="axis" transform="translate(14 {}) rotate(-90)" text-anchor="middle">'
            "labels that are right (%)</text>"
        ).format(
            x_of(0.0), y_of(0.0), x_of(1.0), y_of(1.0),
            x_of(0.5), SIDE - 6, y_of(0.5),
        )
    )  # fmt: skip
    for name in sorted(curves, key=lambda n: n == emphasis):
        color, dash = styles[name]
        shown = (b for b in curves[name] if b["share"] >= LEAST_SHARE)
        points = [(x_of(b["confidence"]), y_of(b["accuracy"]), b) for b in shown]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        parts.append(
            Markup(
                '<g class="line{}" style="color:{}"><polyline points="{}" stroke="{}" '
                'stroke-dasharray="{}"/>'
            ).format(" heavy" if name == emphasis else "", color, path, color, dash)
        )
        for x, y, b in points:
            parts.append(
                Markup(
                    '<circle class="share" cx="{:.1f}" cy="{:.1f}" r="{:.1f}" fill="{}">'
                    "<title>{}</title></circle>"
                ).format(
                    x, y, 1.5 + 9.0 * b["share"] ** 0.5, color,
                    f"{name}: {100 * b['accuracy']:.1f} % right at confidence "
                    f"{100 * b['confidence']:.1f} %, {100 * b['share']:.1f} % of the pixels",
                )
            )  # fmt: skip
        parts.append(Markup("</g>"))
    return Markup("").join(parts) + Markup("</svg>")


def _axes(
    x_ticks: Mapping[float, str],
    y_ticks: Mapping[int, float],
    widths: tuple[int, int],
    x_label: str,
    y_label: str,
) -> list[Markup]:
    """Rules, figures and titles of a chart.

    Args:
      x_ticks: what stands below the horizontal axis, by where.
      y_ticks: where figures of the vertical axis stand.
      widths: of the chart, and of what it leaves free on the right.
      x_label: title of the horizontal axis.
      y_label: of the vertical one.
    """
    width, right = widths
    parts = [
        Markup(
            '<line class="rule" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
            '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(_LEFT, width - right, y, y, _LEFT - 8, y + 4, value)
        for value, y in y_ticks.items()
    ]
    parts += [
        Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            x, HEIGHT - _BOTTOM + 20, text
        )
        for x, text in x_ticks.items()
    ]
    parts.append(
        Markup(
            '<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>'
            '<text class="axis" transform="translate(14 {}) rotate(-90)" text-anchor="middle">'
            "{}</text>"
        ).format(
            (_LEFT + width - right) / 2, HEIGHT - 6, x_label,
            (_TOP + HEIGHT - _BOTTOM) / 2, y_label,
        )
    )  # fmt: skip
    return parts


def _line(name, line, style, x_of, y_of, *, heavy: bool) -> Markup:
    color, dash = style
    path = " ".join(f"{x_of(k):.1f},{y_of(v):.1f}" for k, v in line)
    parts = [
        Markup('<g style="color:{}" class="line{}">').format(color, " heavy" if heavy else ""),
        Markup('<polyline points="{}" stroke-dasharray="{}"/>').format(path, dash),
    ]
    for k, v in line:
        parts.append(
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
                x_of(k), y_of(v), 4 if heavy else 3, f"{name}, ±{k}: {v:.1f}"
            )
        )
    return Markup("").join(parts) + Markup("</g>")


def _value_range(values: Sequence[float]) -> tuple[int, int, int]:
    """Low end, high end and step of an axis that holds all values, 0 … 100."""
    spread = max(values) - min(values)
    step = 20 if spread > 60 else 10 if spread > 18 else 5
    low = max(0, int(min(values) // step) * step)
    high = min(100, int(-(-max(values) // step)) * step)
    return (low, high, step) if high > low else (low - step, high, step)


def _spread(heights: Mapping[str, float], gap: float = 17.0) -> dict[str, float]:
    """Moves labels apart vertically so that none covers another; keeps them on the chart."""
    out: dict[str, float] = {}
    last = -gap
    for name in sorted(heights, key=lambda n: heights[n]):
        out[name] = last = max(heights[name], last + gap)
    lowest = HEIGHT - _BOTTOM
    for name in reversed(list(out)):
        out[name] = lowest = min(out[name], lowest)
        lowest -= gap
    return out
