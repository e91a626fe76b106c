"""What the documents name exists: links, headings, files, modules; no figure is typed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "docs", "benchmarks", "experiments", "experiments/notes", "results")
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).glob("*.md")
)
MEASURED = ("README.md", "docs/RESULTS.md", "docs/REFINER.md", "docs/MODELS.md")
"""Whose tables are filled by ``experiments.tables``, as those of ``benchmarks/README.md`` are."""

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


@pytest.mark.parametrize("document", [*MEASURED, "benchmarks/README.md"])
def test_no_figure_is_typed_into_a_table(document):
    filled = re.compile(r"<!-- table: .*?<!-- end -->", re.DOTALL)
    text = filled.sub("", (ROOT / document).read_text())
    rows = [line for line in text.splitlines() if line.startswith("|")]
    typed = [row for row in rows if re.search(r"\|\s*\**\d+\.\d+", row)]
    assert not typed, f"give these figures a layout in experiments/layouts/: {typed}"


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
