import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from wrp_jax.data.folder import open_folder
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.tfds import export as tfds_export
from wrp_jax.data.tfds.export import ExportRow, export_tfds
from wrp_jax.types import UNLABELLED, UserError

ROOT = Path(__file__).parents[3]
ROWS = [
    *(
        ("a", f"{t:06d}", "000001" if t < 3 else "000004", t - (1 if t < 3 else 4))
        for t in range(6)
    ),
    *(("b", f"{t:06d}", "000000", t) for t in range(3)),
]
"""Sequence, frame, labelled frame and offset of what is exported."""


@pytest.fixture
def written(folder, tmp_path, monkeypatch):
    """Source, rows and writer of a propagation whose pictures are all there."""
    monkeypatch.setattr(tfds_export, "SHARD_EXAMPLES", 4)
    source = open_folder(folder)
    rows = [ExportRow(*row) for row in ROWS]
    writer = LabelWriter(tmp_path / "out", source.classes)
    for i, row in enumerate(rows):
        label = np.random.default_rng(i).integers(0, 3, (17, 31))
        label[0, 0] = UNLABELLED
        writer.write(row.sequence, row.frame, label, np.full((17, 31), i / 10, np.float32))
    return source, rows, writer


def _hashes(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in directory.iterdir()}


def test_tfds_reads_it_without_our_code(written, tmp_path):
    source, rows, writer = written
    export_tfds(tmp_path / "set", source, rows, writer)
    builder = tfds.builder_from_directory(tmp_path / "set")
    data = builder.as_data_source("train")
    assert len(data) == 9 and builder.info.splits["train"].num_shards == 3
    names = builder.info.features["label"].names
    assert [names[i] for i in source.classes.ids] == list(source.classes.names)
    for i, (row, element) in enumerate(zip(rows, data, strict=True)):
        assert (element["image"] == source.frame(row.sequence, row.frame)).all()
        label = np.random.default_rng(i).integers(0, 3, (17, 31))
        label[0, 0] = 2  # 255 is the void id here
        assert (element["label"][..., 0] == np.array(source.classes.ids)[label]).all()
        assert (element["confidence"] == round(i / 10 * 255)).all()
        assert element["sequence"].decode() == row.sequence
        assert element["frame"].decode() == row.frame and element["key"].decode() == row.key
        assert element["offset"] == row.offset and element["distance"] == abs(row.offset)
        assert bool(element["is_keyframe"]) == (row.frame == row.key)
        assert np.isnan([element[name] for name in ("miou", "miou_low", "doubtful")]).all()


EXPORT = """
import json, signal, sys
from pathlib import Path
from wrp_jax.data.tfds import export as tfds_export
from wrp_jax.data.folder import open_folder
from wrp_jax.data.label_writer import LabelWriter

folder, pictures, directory, shards, rows = sys.argv[1:]
tfds_export.SHARD_EXAMPLES = 4
source = open_folder(Path(folder))
rows = [tfds_export.ExportRow(*row) for row in json.loads(rows)]
original, written = tfds_export._write_shard, []

def write(path, *arguments):
    if len(written) == int(shards):
        Path(directory, ".wrp-0123456789abcdef.tmp").write_bytes(b"half of a shard")
        signal.raise_signal(signal.SIGKILL)
    written.append(path)
    return original(path, *arguments)

tfds_export._write_shard = write
writer = LabelWriter(Path(pictures), source.classes)
tfds_export.export_tfds(Path(directory), source, rows, writer)
"""


def export_in_a_process(written, directory, shards=9, seed=0):
    """Exports with another order of hashes; killed once so many shards are there."""
    source, _, writer = written
    return subprocess.run(
        [
            *(sys.executable, "-c", EXPORT, source.root, writer.output, directory, str(shards)),
            json.dumps(ROWS),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)}, check=False,
    ).returncode  # fmt: skip


def test_equal_inputs_give_equal_bytes_in_any_process(written, tmp_path):
    export_tfds(tmp_path / "one", *written)
    assert export_in_a_process(written, tmp_path / "two", seed=1) == 0
    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")
    # Killed after one shard and gone on by another process.
    assert export_in_a_process(written, tmp_path / "cut", shards=1, seed=2) == -signal.SIGKILL
    assert not (tmp_path / "cut" / "dataset_info.json").exists()
    export_tfds(tmp_path / "cut", *written)
    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "cut")


def test_shards_that_are_there_are_kept_and_others_written_again(written, tmp_path, monkeypatch):
    source, rows, writer = written
    directory = tmp_path / "set"
    export_tfds(directory, source, rows, writer)
    before = _hashes(directory)
    first, second, third = sorted(directory.glob("*-of-00003"))
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    third.with_name(third.name + ".json").unlink()
    stray = [
        directory / "propagated-train.array_record-00000-of-00009",
        directory / ".wrp-0123456789abcdef.tmp",
    ]
    for path in stray:
        path.write_bytes(b"left behind")
    encoded, original = [], type(source).frame_bytes

    def spy(self, sequence, name):
        encoded.append((sequence, name))
        return original(self, sequence, name)

    monkeypatch.setattr(type(source), "frame_bytes", spy)
    export_tfds(directory, source, rows, writer)
    assert encoded == [(r.sequence, r.frame) for r in (*rows[:4], *rows[8:])]
    assert _hashes(directory) == before and second.is_file()


def test_changed_labels_are_exported_again(written, tmp_path):
    source, rows, writer = written
    export_tfds(tmp_path / "set", source, rows, writer)
    writer.write("a", "000000", np.ones((17, 31), np.int32), np.ones((17, 31), np.float32))
    export_tfds(tmp_path / "set", source, rows, writer)
    element = tfds.builder_from_directory(tmp_path / "set").as_data_source("train")[0]
    assert (element["label"] == 7).all()


def test_another_estimate_of_quality_is_exported_again(written, tmp_path):
    source, rows, writer = written
    for miou in (70.0, 80.5):
        told = {"miou": miou, "miou_low": 60.25, "miou_high": 90.0, "doubtful": 4.5}
        rows[5] = dataclasses.replace(rows[5], **told)
        export_tfds(tmp_path / "set", source, rows, writer)
        element = tfds.builder_from_directory(tmp_path / "set").as_data_source("train")[5]
        assert {name: float(element[name]) for name in told} == told


def test_changed_frames_are_exported_again(written, tmp_path):
    source, rows, writer = written
    export_tfds(tmp_path / "set", source, rows, writer)
    frame = next((source.root / "a" / "frames").glob("000000.*"))
    Image.new("RGB", (31, 17), (9, 8, 7)).save(frame)
    export_tfds(tmp_path / "set", source, rows, writer)
    element = tfds.builder_from_directory(tmp_path / "set").as_data_source("train")[0]
    assert abs(element["image"].astype(int) - (9, 8, 7)).max() < 4


def test_a_killed_export_has_no_data_set_and_goes_on(written, tmp_path, monkeypatch):
    source, rows, writer = written
    directory = tmp_path / "set"

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tfds_export, "_register", die)
        with pytest.raises(KeyboardInterrupt):
            export_tfds(directory, source, rows, writer)
    assert not (directory / "dataset_info.json").exists()
    export_tfds(directory, source, rows, writer)
    assert len(tfds.builder_from_directory(directory).as_data_source("train")) == 9


def test_missing_pictures_and_places(written, tmp_path):
    source, rows, writer = written
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        export_tfds(tmp_path / "file", source, rows, writer)
    with pytest.raises(UserError, match="no frames"):
        export_tfds(tmp_path / "set", source, [], writer)
    writer.label_path("b", "000001").unlink()
    with pytest.raises(UserError, match=r"labels/000001\.png cannot be read"):
        export_tfds(tmp_path / "set", source, rows, writer)
    assert not (tmp_path / "set" / "dataset_info.json").exists()
    assert not list((tmp_path / "set").glob(".*.tmp"))


def test_the_record_of_a_shard(written, tmp_path):
    export_tfds(tmp_path / "set", *written)
    shard = tmp_path / "set" / "propagated-train.array_record-00002-of-00003"
    record = json.loads((shard.parent / f"{shard.name}.json").read_text())
    assert record["examples"] == 1
    assert record["sha256"] == hashlib.sha256(shard.read_bytes()).hexdigest()
