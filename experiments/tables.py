"""Puts the figures of ``results/`` into the documents: ``python -m experiments.tables [--check]``.

A document holds the places that this module fills:

* ``<!-- table: NAME -->`` … ``<!-- end -->`` around a table. ``experiments/layouts/*.toml`` says
  which figures it shows;
* ``<!-- value: TEMPLATE -->`` … ``<!-- end -->`` around a figure in a sentence.

A template is text in which ``{camvid/warp-refine/mean:.1f}`` stands for a figure: the name of the
result, the way to the figure in it, and Python's format. ``{A ÷ B:.2f}`` is the ratio of two
figures, ``{A − B:+.1f}`` their difference. ``{camvid.date}`` is the day of a result,
``{camvid.accelerator}``, ``{camvid.cpu}`` and ``{camvid.jax}`` tell of its machine. A layout is a
table of TOML::

    [NAME]
    head = ["method", "±1", "mean"]
    cells = ["{1:.1f}", "{mean:.1f}"]  # ways that start at a row's own
    rows = [["motion-only", "camvid/motion-only"], ["warp-refine", "camvid/warp-refine"]]
    best = "max"  # optional: bold face for the largest of a column

A row is its labels and, last, where its figures are: the name of a result and a way in it. A row
that needs other cells is ``{ row = ["a", "b {camvid/x/y:.0f} s"] }``. The head may hold figures
too. All rows compete for ``best``, or those of a group where ``groups = [4, 4]`` says how many rows
each group has. A figure that is unknown (null) leaves its cell empty.

``experiments/figures.toml`` names the figures that are drawn, and their curves.

``--check`` writes nothing and fails with the names of the places that differ.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.figure import draw
from experiments.record import ROOT, read_results

LAYOUTS = Path(__file__).parent / "layouts"
FIGURES = Path(__file__).parent / "figures.toml"
_PLACE = re.compile(r"<!-- (table|value): (.+?) -->(.*?)<!-- end -->", re.DOTALL)
_ORIGIN = re.compile(r"\{([a-z0-9_]+)\.(date|accelerator|cpu|jax)\}")
_FIGURE = re.compile(r"\{([^{}]+):([^{}:]*)\}")

Results = Mapping[str, Mapping[str, Any]]


def documents(root: Path = ROOT) -> list[Path]:
    """The documents that hold figures."""
    folders = (root, root / "docs", root / "benchmarks", root / "experiments" / "notes")
    return sorted(path for folder in folders for path in folder.glob("*.md"))


def read_layouts(folder: Path = LAYOUTS) -> dict[str, dict[str, Any]]:
    """All layouts by the name of their table.

    Raises:
      ValueError: two files have a table of one name.
    """
    layouts: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.toml")):
        for name, layout in tomllib.loads(path.read_text()).items():
            if name in layouts:
                raise ValueError(f"{path}: there is another layout of the name {name}")
            layouts[name] = layout
    return layouts


def figure(results: Results, way: str) -> float | None:
    """A figure by the name of its result and the way in it, ``camvid/warp-refine/mean``.

    Raises:
      ValueError: there is no such figure.
    """
    name, *keys = way.strip().split("/")
    value: Any = results[name]["figures"] if name in results else None
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            raise ValueError(f"there is no figure {way.strip()} in results/")
        value = value[key]
    if isinstance(value, Mapping) or (value is None and name not in results):
        raise ValueError(f"there is no figure {way.strip()} in results/")
    return value


def origin(results: Results, name: str, field: str) -> str:
    """The day of a result, or what its machine was; empty where nobody has recorded it.

    Raises:
      ValueError: there is no such result.
    """
    if name not in results:
        raise ValueError(f"there is no result {name} in results/")
    result = results[name]
    return (result["date"] if field == "date" else result["machine"][field]) or ""


def fill(template: str, results: Results, at: str = "") -> str:
    """The template with its figures; empty where one of them is unknown.

    Args:
      template: text with ``{WAY:FORMAT}``, as at the top of the file.
      results: by name.
      at: where the ways of the template start, such as ``camvid/warp-refine``; ``""``: at a name.
    """
    unknown = False

    def look_up(way: str) -> float | None:
        return figure(results, f"{at}/{way.strip()}" if at else way)

    def put(match: re.Match[str]) -> str:
        nonlocal unknown
        ways = re.split(r" ([÷−]) ", match[1])
        first, sign, second = ways if len(ways) == 3 else (match[1], "", "")
        a = look_up(first)
        b = look_up(second) if sign else 1.0
        if a is None or b is None:
            unknown = True
            return ""
        number = a if not sign else a / b if sign == "÷" else a - b
        return format(number, match[2])

    filled = _ORIGIN.sub(lambda match: origin(results, match[1], match[2]), template)
    filled = _FIGURE.sub(put, filled)
    return "" if unknown else filled


def table(layout: Mapping[str, Any], results: Results) -> str:
    """The Markdown of a layout."""
    head, cells = [fill(cell, results) for cell in layout["head"]], layout.get("cells", ())
    lines = []
    for row in layout["rows"]:
        if isinstance(row, Mapping):
            lines.append([fill(cell, results) for cell in row["row"]])
            continue
        *labels, at = row
        lines.append([*labels, *(fill(cell, results, at) for cell in cells)])
    wrong = [line for line in lines if len(line) != len(head)]
    if wrong:
        raise ValueError(f"{wrong[0]} has {len(wrong[0])} cells, the head {len(head)}")
    if "best" in layout:
        start = 0
        for size in layout.get("groups", [len(lines)]):
            for column in range(len(head) - len(cells), len(head)):
                _embolden(lines[start : start + size], column, layout["best"])
            start += size
    first, *others = (_row(line) for line in (head, *lines))
    return "\n".join([first, f"|{'---|' * len(head)}", *others])


def _embolden(lines: Sequence[list[str]], column: int, best: str) -> None:
    """Bold face for the best cells of a column, as they are printed."""
    shown = [line for line in lines if line[column]]
    if len(shown) < 2:
        return
    top = {"max": max, "min": min}[best](float(line[column]) for line in shown)
    for line in shown:
        if float(line[column]) == top:
            line[column] = f"**{line[column]}**"


def _row(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def render(text: str, layouts: Mapping[str, Mapping[str, Any]], results: Results) -> str:
    """The text of a document with all its places filled.

    Raises:
      ValueError: a place names a layout or a figure that there is not, or a value begins a line.
    """
    if at_start := re.search(r"^ *<!-- value: .+? -->", text, re.MULTILINE):
        raise ValueError(f"{at_start[0]} begins a line, which Markdown takes for HTML: move it")

    def put(match: re.Match[str]) -> str:
        kind, what, _ = match.groups()
        try:
            if kind == "value":
                inside = fill(what, results)
            elif what in layouts:
                inside = f"\n\n{table(layouts[what], results)}\n\n"
            else:
                raise ValueError("there is no such layout in experiments/layouts/")
        except ValueError as error:
            raise ValueError(f"{kind} {what}: {error}") from None
        return f"<!-- {kind}: {what} -->{inside}<!-- end -->"

    return _PLACE.sub(put, text)


def drawings(results: Results, file: Path = FIGURES) -> dict[str, str]:
    """The SVG of each figure, by the name of its file in ``docs/``.

    Raises:
      ValueError: a figure has no points.
    """
    drawn = {}
    for name, layout in tomllib.loads(file.read_text()).items():
        curves = {label: points(results, way) for label, way in layout["curves"]}
        drawn[f"{name}.svg"] = draw(curves, layout["across"])
    return drawn


def points(results: Results, way: str) -> dict[str, float]:
    """The figures of a way with ``*``, by the whole numbers that it stands for."""
    before, _, after = way.partition("/*")
    name, *keys = before.split("/")
    found: Any = results[name]["figures"]
    for key in keys:
        found = found[key]
    values = {k: figure(results, f"{before}/{k}{after}") for k in found if k.isdecimal()}
    if not values:
        raise ValueError(f"there is no figure {way} in results/")
    return {k: value for k, value in values.items() if value is not None}


def places(text: str) -> dict[str, str]:
    """What stands at each place of a document, by kind and name."""
    return {f"{kind} {what}": inside for kind, what, inside in _PLACE.findall(text)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fills or checks all documents; returns 1 where ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail at a difference")
    check = parser.parse_args(arguments).check
    layouts, results = read_layouts(), read_results()
    new = {ROOT / "docs" / name: svg for name, svg in drawings(results).items()}
    for path in documents():
        try:
            new[path] = render(path.read_text(), layouts, results)
        except ValueError as error:
            print(f"{path.relative_to(ROOT)}: {error}", file=sys.stderr)
            return 1
    differ = False
    for path, filled in new.items():
        text = path.read_text() if path.exists() else ""
        if filled == text:
            continue
        differ = True
        before, after = places(text), places(filled)
        changed = [place for place in before if before[place] != after.get(place)] or ["the figure"]
        for place in changed:
            print(f"{path.relative_to(ROOT)}: {place} {'differs' if check else 'written'}")
        if not check:
            path.write_text(filled)
    if check and differ:
        print("Run `python -m experiments.tables`, and commit what it writes.", file=sys.stderr)
    return int(check and differ)


if __name__ == "__main__":
    sys.exit(main())
