"""``docs/notebook.py`` runs from top to bottom and says what it promises."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from offline import guarded
from PIL import Image

pytestmark = pytest.mark.commands

ROOT = pathlib.Path(__file__).parents[1]


def test_the_notebook_runs(tmp_path):
    path = os.pathsep.join([guarded(tmp_path / "guard"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "notebook.py")],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(motion-only|warp-inpaint|warp-refine) +(.*)$", done.stdout, re.M)
    shares = {name: np.array(row.split(), float) for name, row in rows}
    assert set(shares) == {"motion-only", "warp-inpaint", "warp-refine"}
    for values in shares.values():
        assert len(values) == 11 and values[5] == 100.0 and values.min() > 50
    assert np.array(Image.open(tmp_path / "propagated.png")).shape == (96, 4 * 160, 3)


def test_cells_are_cells():
    text = (ROOT / "docs" / "notebook.py").read_text()
    cells = re.split(r"^# %%", text, flags=re.M)[1:]
    assert len(cells) > 8 and cells[0].startswith(" [markdown]")
    for cell in cells:
        head, _, body = cell.partition("\n")
        prose = head.strip() == "[markdown]"
        lines = [line for line in body.strip().splitlines() if line]
        assert prose == all(line.startswith("#") for line in lines), body
