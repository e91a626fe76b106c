"""Builds the documents as a site: ``sphinx-build -c docs . site``.

The source folder is the whole checkout, so that a link leads to the same page here and where the
files are read as they are.
"""

import wrp_jax

project = "wrp_jax"
version = release = wrp_jax.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "benchmarks/README.md",
    "experiments/README.md",
    "experiments/notes/*.md",
    "results/README.md",
]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3  # links to headings, as GitHub names them
myst_enable_extensions = ["html_image"]
napoleon_use_ivar = True  # attributes once, although dataclasses list theirs too
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"wrp_jax {version}"


def _without_text(app, what, name, member, skip, options) -> bool:
    """Leaves out the fields of named tuples: the text of the class explains them."""
    return skip or "Alias for field number" in (getattr(member, "__doc__", None) or "")


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", _without_text)
