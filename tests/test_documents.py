"""What the documents name exists: links, headings, files, modules; no figure is typed."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from experiments import tables

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "docs", "benchmarks", "experiments", "experiments/notes", "results")
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).glob("*.md")
)
WRITTEN_FROM_CODE = ("docs/OPTIONS.md", "docs/COMMANDS.md")
"""Their numbers are defaults and bounds, and other tests compare them with the code."""

NO_PROSE = re.compile(
    r"<!-- table: .*?<!-- end -->"
    r"|<!-- value: (?P<template>.*?) -->.*?<!-- end -->"
    r"|<!--.*?-->"
    r"|```.*?```"
    r"|``.*?``|`[^`]*`"
    r"|\]\([^)\s]*\)"  # where a link leads
    r"|Python 3\.\d+",
    re.DOTALL,
)
"""What may hold numbers: figures from results/, and code. Constants are written as code."""
UNITS = "%|m?s|seconds?|minutes?|min|px|pixels?|points?|[kKMGT]i?B|images/s|frames/s|fps"
FIGURE = re.compile(
    rf"(?<![\w.§])(?<![A-Za-z]-)\d[\d,]*"
    rf"(?:\.\d+(?!\.?\d)|e-?\d+|(?:x|[ \xa0]?(?:{UNITS}))(?!\w))"
)
"""A number with a point or an exponent, or with a unit; no version ``1.2.3`` and no ``3x3``."""

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(
    r"(?<![\w./<>-])((?:[a-z_]+/)+[\w.-]+\.(?:py|md|json|toml|svg|png|safetensors)|[a-z_]+\.py)\b"
)
MODULE = re.compile(r"python -m ((?:benchmarks|experiments|wrp_jax)[\w.]*)")
PLACEHOLDER = re.compile(r"[A-Z]{2,}(?=[./])|\*")
"""``results/NAME.json`` is no file."""


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.strip().replace(" ", "-") for head in plain}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists() and there.is_relative_to(ROOT), f"{document} links to {link}"
        if anchor:
            assert anchor in anchors(there.read_text()), f"{document} links to {link}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_and_modules_exist(document):
    path = ROOT / document
    text = LINK.sub("", path.read_text())
    for name in NAMED.findall(text):
        places = (ROOT, path.parent, ROOT / "wrp_jax", ROOT / "wrp_jax" / "propagation")
        known = any((place / name).exists() for place in places)
        known |= "/" not in name and any(ROOT.glob(f"[bcerw]*/**/{name}"))
        assert known or PLACEHOLDER.search(name), f"{document} names {name}"
    for module in MODULE.findall(text):
        assert importlib.util.find_spec(module.rstrip(".")), f"{document} names {module}"


def typed(text: str) -> list[str]:
    """The lines of a text that hold a figure which nothing fills in."""

    def cut(match: re.Match[str]) -> str:
        template = match["template"] or ""
        return re.sub(r"\{[^{}]*\}", "", template) + "\n" * match[0].count("\n")

    lines = text.splitlines()
    prose = NO_PROSE.sub(cut, text).splitlines()
    return [f"{n}: {lines[n - 1]}" for n, line in enumerate(prose, 1) if FIGURE.search(line)]


WHAT_TO_DO = (
    "put a measured figure into results/ and show it by a table or <!-- value: … -->, "
    "and write a constant as `code` (CONTRIBUTING.md, Figures)"
)


@pytest.mark.parametrize("document", sorted(set(DOCUMENTS) - set(WRITTEN_FROM_CODE)))
def test_no_figure_is_typed_by_hand(document):
    assert not typed((ROOT / document).read_text()), WHAT_TO_DO


def test_no_figure_is_typed_into_a_layout():
    for name, layout in tables.read_layouts().items():
        rows = [row["row"] if isinstance(row, dict) else row[:-1] for row in layout["rows"]]
        for cell in (*layout["head"], *layout.get("cells", ()), *(c for row in rows for c in row)):
            text = re.sub(r"\{[^{}]*\}", "", cell)
            assert not typed(text), f"layout {name}: {WHAT_TO_DO}"


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda p: p.stem)
def test_no_figure_is_typed_into_a_finding(path):
    finding = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("Finding:")[2]
    assert not typed(finding), "say what was found in words; the figures stand in results/"


@pytest.mark.parametrize(
    "text",
    ["It has 82.5 on\nCamVid", "level (±10: 1.5)", "takes 3 s", "52x as fast", "1,000 MB", "11 %",
     "half of 40 minutes", "to 1e-5", "| 4 | 12.0 |", "<!-- value: 71 min -->71 min<!-- end -->"],
)  # fmt: skip
def test_a_typed_figure_is_found(text):
    assert len(typed(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["a threshold of `0.9`", "```\n--scale=1.5\n```", "512x1024, 3x3", "27 November 2026", "±10",
     "600 steps", "version 0.1.10", "Python 3.11", "Apache-2.0", "§4.2", "[a](b/1.5.md)",
     "eq. 1-12", "<!-- value: {a/b:.1f} ms -->1.5 ms<!-- end -->",
     "<!-- table: a -->\n| 1.5 |\n<!-- end -->"],
)  # fmt: skip
def test_constants_and_filled_figures_may_stand(text):
    assert not typed(text)


def test_readme_is_short_and_stands_alone():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert "shared/" not in text
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert blocks[0].strip() == "pip install -e . && python propagate.py --config=configs/demo.py"
    assert blocks[1].strip() == 'pip install -e ".[test]" && pytest'


def test_the_index_names_every_document():
    index = (ROOT / "docs" / "README.md").read_text()
    others = [Path(name).name for name in DOCUMENTS if name.startswith("docs/")]
    missing = [
        name
        for name in others
        if name not in ("README.md", "index.md") and f"]({name})" not in index
    ]
    assert not missing, "name them in docs/README.md"
