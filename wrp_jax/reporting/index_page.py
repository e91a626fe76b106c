"""A page that leads to several reports, with what each output says of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from wrp_jax.files.regular import read_bytes
from wrp_jax.files.strict_json import read_json
from wrp_jax.reporting.report import page_resource
from wrp_jax.types import UserError

_MOST_BYTES = 2**26


def index_page(outputs: Sequence[Path]) -> str:
    """The page as text; its links are ``1/``, ``2/``, … in the order of the outputs.

    Args:
      outputs: that ``propagate`` has written.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(page_resource("index.html.jinja"))
    rows = [{"link": f"{number}/", **_row(output)} for number, output in enumerate(outputs, 1)]
    best = max((row["miou"] for row in rows if row["miou"] is not None), default=None)
    return template.render(css=Markup(page_resource("report.css")), rows=rows, best=best)


def _row(output: Path) -> dict[str, Any]:
    """What there is to say of an output; nothing is said of what cannot be read."""
    row: dict[str, Any] = {
        "name": output.name,
        "folder": str(output),
        "method": "",
        "frames": None,
        "miou": None,
        "estimated": None,
        "confidence": None,
        "doubtful": None,
        "clips": None,
        "notes": [],
    }
    try:
        metrics = read_json(output / "metrics.json", limit=_MOST_BYTES)
        row["method"], row["frames"] = str(metrics["method"]), int(metrics["frames"])
        row["notes"] = list(map(str, metrics.get("notes", [])))
        row["miou"] = metrics["methods"][metrics["method"]].get("mean")
    except (UserError, ValueError, KeyError, TypeError, AttributeError):
        row["notes"] = ["metrics.json cannot be read."]
    lines = _clip_lines(output)
    row["clips"] = len(lines) if lines is not None else None
    lines = lines or []
    for name, key in (("estimated", "miou"), ("confidence", "confidence")):
        values = [line[key][0] for line in lines if key in line]
        row[name] = sum(values) / len(values) if values else None
    row["doubtful"] = sum(line.get("doubtful", 0) for line in lines)
    return row


def _clip_lines(output: Path) -> list[dict[str, Any]] | None:
    """The list of clips of a report; None where it cannot be read."""
    try:
        text = read_bytes(output / "report.html", _MOST_BYTES).decode()
        data = text.partition('id="report-data">')[2].partition("</script>")[0]
        lines = json.loads(data)["clips"]
        return [line for line in lines if isinstance(line, dict)]
    except (UserError, ValueError, KeyError, TypeError):
        return None
