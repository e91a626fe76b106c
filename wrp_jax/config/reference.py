"""All options as a Markdown page: ``python -m wrp_jax.config.reference > docs/OPTIONS.md``."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

from wrp_jax.config.option import Option, Options, described, groups_of
from wrp_jax.config.tree import Config

_HEAD = """# Options

Every option, as it is set at the command line (`--config.seed=1`), in a config file or in Python
(`config.seed = 1`). A shell wants quotes around pairs:
`--config.segmentation.sampling.crop="(64,96)"`. `python -m wrp_jax.config.reference >
docs/OPTIONS.md` writes this page.
"""


def reference() -> str:
    """The page: a table (option, default, range, meaning) for each group."""
    return "\n".join([_HEAD, *_tables(Config)])


def _tables(kind: type[Options]) -> list[str]:
    inside = groups_of(kind)
    summary = (inspect.getdoc(kind) or "").replace("``", "`")
    lines = [f"## {kind.path}", "", summary, ""]
    lines += ["| Option | Default | Range | Meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name not in inside:
            option = described(field)
            name, default = f"`{field.name}`", f"`{_text(field.default)}`"
            cells = (name, default, _range(option, field.type), option.help)
            lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for part in inside.values():
        lines += _tables(part)
    return lines


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _range(option: Option, kind: Any) -> str:
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    if "int" not in str(kind) and "float" not in str(kind):
        return "`true`, `false`" if kind is bool else "text"
    if option.above > -math.inf:
        text = f"> {option.above:g}"
    elif option.below < math.inf:
        text = f"{option.least:g} … < {option.below:g}"
    elif option.most < math.inf:
        most = option.most if isinstance(option.most, int) else f"{option.most:g}"
        text = f"{option.least:g} … {most}"
    else:
        text = f"≥ {option.least:g}" if option.least > -math.inf else "any number"
    return f"{text}, the smaller first" if option.ascending else text


if __name__ == "__main__":
    print(reference(), end="")
