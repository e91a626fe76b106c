"""The tools' own readers open our exports, and we read what they write (see CONTRIBUTING.md)."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_round_trip import STREET, video

from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.open_source import open_source
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.exchange.export_project import FORMATS, export_project

TOOLS = os.environ.get("TOOLS_PYTHON", "")
PROGRAM = Path(__file__).with_name("tool_readers.py")
pytestmark = pytest.mark.skipif(
    not TOOLS, reason="TOOLS_PYTHON names no Python with Datumaro, pycocotools, label-studio-sdk"
)


def run(*words):
    result = subprocess.run([TOOLS, PROGRAM, *words], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_tools_read_our_exports(tmp_path):
    street, city = (tmp_path / name for name in ("street", "city"))
    video(street, [{**e, "name": e["name"].replace(":", "")} for e in STREET])
    video(city, classes_to_json(cityscapes_classes())["classes"])
    for to in FORMATS:
        data = city if to == "cityscapes" else street
        export_project(data, tmp_path / "E" / to, to, unlabelled=True)
    run("read", tmp_path / "E", tmp_path / "found.npz")
    seen = set()
    with np.load(tmp_path / "found.npz") as found:
        for title in found.files:
            reader, key = title.replace("|", "/").split(" ", 1)
            source = open_source(str(city if reader.endswith("cityscapes") else street))
            sequence, name = key.split("/")
            name = name.removeprefix(f"{sequence}_000000_")
            seen.add((reader, key))
            if name not in source.label_names(sequence):
                assert not found[title].size, title
                continue
            classes = source.classes
            expected = np.array(classes.names)[source.label(sequence, name)]
            known = expected != classes.names[classes.void_index]
            if source.name == str(city):  # it leaves out trainId 0 and the spaces in names
                known &= expected != "road"
                expected = np.array([[name.replace(" ", "") for name in row] for row in expected])
            np.testing.assert_array_equal(found[title][known], expected[known], err_msg=title)
            # Void is a class of masks, and nothing at all to the others.
            others = set(np.unique(found[title][~known])) - {"", "background"}
            assert others <= {classes.names[classes.void_index]}, title
    # Its reader of Cityscapes looks for frames with labels alone.
    assert len(seen) == 6 * 6 + 4, sorted(seen)


def test_we_read_what_the_tools_write(tmp_path):
    rng = np.random.default_rng(0)
    names = ["background", "road", "car"]
    labels = {key: rng.integers(0, 3, (7, 10)) for key in ("000", "001")}
    np.savez(tmp_path / "labels.npz", names=names, **labels, **{"002": np.empty(0)})
    run("write", tmp_path / "labels.npz", tmp_path / "E")
    exports = sorted((tmp_path / "E").iterdir())
    assert len(exports) == 4
    for export in exports:
        import_project(export, tmp_path / "D" / export.name)
        source = open_source(str(tmp_path / "D" / export.name))
        (sequence,) = source.sequences
        assert source.label_names(sequence) == set(labels), export.name
        assert source.frame_names(sequence) == (*labels, "002")
        for key, label in labels.items():
            found = np.array(source.classes.names)[source.label(sequence, key)]
            np.testing.assert_array_equal(found, np.array(names)[label], err_msg=export.name)


def test_the_program_does_not_need_this_project():
    assert "wrp_jax" not in PROGRAM.read_text() and sys.executable != TOOLS
