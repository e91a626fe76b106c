import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from wrp_jax.data import images
from wrp_jax.data.label_maps import same_classes
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import StoredSource
from wrp_jax.data.tfds import clips
from wrp_jax.data.tfds import source as tfds_source
from wrp_jax.data.tfds.builders import ClipBuilder
from wrp_jax.files.lock import sole_writer
from wrp_jax.types import Interrupted, UserError


def _same(a, b, sequences):
    """Both sources give the same names, frames and labels."""
    assert same_classes(a.classes, b.classes)
    assert (a.classes.colors == b.classes.colors).all()
    for sequence in sequences:
        assert a.frame_names(sequence) == b.frame_names(sequence)
        assert a.label_names(sequence) == b.label_names(sequence)
        for name in a.frame_names(sequence):
            assert (a.frame(sequence, name) == b.frame(sequence, name)).all()
        for name in a.label_names(sequence):
            assert (a.label(sequence, name) == b.label(sequence, name)).all()


@pytest.fixture
def built(folder, tmp_path, monkeypatch, capsys, wrp) -> str:
    """Specification of the folder as a data set; its sequence ``a`` is cut in three clips."""
    monkeypatch.setattr(clips, "CLIP_FRAMES", 2)
    assert wrp("build", f"--data={folder}", f"--output={tmp_path / 'tfds'}") == 0
    return capsys.readouterr().out.strip().splitlines()[-1]


def test_folder_to_tfds_and_back(built, folder, tmp_path):
    assert built == f"tfds:folder_video/videos:train@{tmp_path / 'tfds'}"
    source, original = open_source(built), open_source(str(folder))
    assert isinstance(source, StoredSource) and source.sequences == original.sequences
    _same(source, original, original.sequences)
    stored = (folder / "a/frames/000003.jpg").read_bytes()
    assert source.frame_bytes("a", "000003") == stored  # not encoded a second time
    assert source.frame_size("a", "000003") == (17, 31)
    _same(pickle.loads(pickle.dumps(source)), original, ["b"])


def test_parts_of_splits_and_sets_without_an_index(built, folder, tmp_path):
    original = open_source(str(folder))
    part = open_source(built.replace(":train", ":train[:2]"))
    assert part.sequences == ("a",) and part.frame_names("a") == original.frame_names("a")[:4]
    metadata = next((tmp_path / "tfds").rglob("metadata.json"))
    content = json.loads(metadata.read_text())
    for index in ({}, {"clips": {"train": content["clips"]["train"][:2]}}):
        metadata.write_text(json.dumps({"classes": content["classes"], **index}))
        _same(open_source(built), original, original.sequences)


def test_the_version_directory_may_be_given(built, folder):
    directory = built.partition("@")[2] + "/folder_video/videos/1.0.0"
    source = open_source(f"tfds:folder_video/videos:train@{directory}")
    _same(source, open_source(str(folder)), ["b"])


def test_other_programs_read_it_too(built, folder):
    directory = built.partition("@")[2] + "/folder_video/videos/1.0.0"
    element = tfds.builder_from_directory(directory).as_data_source("train")[0]
    source = open_source(str(folder))
    assert element["sequence"] == b"a" and element["frame_names"] == [b"000000", b"000001"]
    assert (element["frames"][1] == source.frame("a", "000001")).all()
    ids = np.asarray(Image.open(folder / "a/labels/000001.png"))
    assert (element["labels"]["label"][0][..., 0] == ids).all()


def test_little_is_kept_in_memory(built, monkeypatch):
    source = open_source(built)
    assert isinstance(source, tfds_source.TfdsSource)
    for name in source.frame_names("a"):
        source.frame("a", name)
    assert len(source._cache) == 3
    monkeypatch.setattr(tfds_source, "CACHE_BYTES", 10)
    source = open_source(built)
    assert isinstance(source, tfds_source.TfdsSource)
    for name in source.frame_names("a"):
        source.frame("a", name)
        assert len(source._cache) == 1


def test_tensorflow_stays_out(built):
    code = (
        "import sys; from wrp_jax.data.open_source import open_source; "
        f"s = open_source({built!r}); s.frame('a', '000000'); s.label('a', '000001'); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.replace(":train", ":test"), "there is no split test, only train"),
        (lambda s: s.replace(":train", ":train[x"), "must be tfds:NAME/CONFIG:SPLIT"),
        (lambda s: s.replace(":train", ""), "must be tfds:NAME/CONFIG:SPLIT"),
        (lambda s: s.replace("/videos", "/none"), "no prepared data set"),
        (lambda s: s.replace(":train", ":train[x]"), "give another part of the split"),
    ],
)
def test_what_is_not_there(built, change, said):
    with pytest.raises(UserError) as error:
        open_source(change(built))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_damaged_records_are_named(built, tmp_path):
    shard = next((tmp_path / "tfds").rglob("*.array_record-*"))
    content = bytearray(shard.read_bytes())
    place = content.index(b"JFIF")
    content[place : place + 4] = b"XXXX"
    shard.write_bytes(content)
    with pytest.raises(UserError, match="record 0 is damaged"):
        open_source(built).frame("a", "000000")
    for broken in (bytes(content[: len(content) // 2]), b""):
        shard.write_bytes(broken)
        with pytest.raises(UserError, match="tfds:folder_video/videos:train"):
            open_source(built).frame("a", "000000")
    shard.unlink()
    with pytest.raises(UserError, match="tfds:folder_video/videos:train"):
        open_source(built).frame("a", "000000")


class WithFlow(ClipBuilder, skip_registration=True):
    """Clips with a feature of their own."""

    folder = ""

    def clip_classes(self):
        return open_source(self.folder).classes

    def clip_splits(self, dl_manager):
        source = open_source(self.folder)
        return {"train": (source, source.sequences)}

    def _info(self):
        info = super()._info()
        flow = tfds.features.Tensor(shape=(2, 3), dtype=np.float32, encoding="zlib")
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({**info.features, "flow": flow}),
            metadata=info.metadata,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        parts = super()._split_generators(dl_manager)
        flow = np.ones((2, 3), np.float32)
        return {s: ((k, {**e, "flow": flow}) for k, e in part) for s, part in parts.items()}


def test_builders_may_add_features(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(WithFlow, "folder", str(folder))
    builder = WithFlow(data_dir=str(tmp_path / "tfds"))
    builder.download_and_prepare()
    assert builder.as_data_source("train")[0]["flow"].sum() == 6
    source = open_source(f"tfds:with_flow:train@{tmp_path / 'tfds'}")
    _same(source, open_source(str(folder)), ["a", "b"])
    assert isinstance(source, tfds_source.TfdsSource)
    assert "flow" not in source._element(0)


def test_labels_of_other_data_sets_are_checked(built, monkeypatch):
    source = open_source(built)
    assert isinstance(source, tfds_source.TfdsSource)
    element = source._element(0)
    element["labels"]["label"][0] = images.encode_png(np.zeros((17, 31, 3), np.uint8))
    with pytest.raises(UserError, match="colour picture"):
        source.label("a", "000001")
    element["labels"]["label"][0] = images.encode_png(np.zeros((17, 30), np.uint8))
    with pytest.raises(UserError, match="another size"):
        source.label("a", "000001")


def test_other_kinds_of_data_sets_are_refused(tmp_path):
    features = tfds.features.FeaturesDict({"x": np.int64})
    (tmp_path / "other/1.0.0").mkdir(parents=True)
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity("other", tfds.core.Version("1.0.0"), str(tmp_path), ""),
        features=features,
    )
    info.write_to_directory(tmp_path / "other/1.0.0")
    with pytest.raises(UserError, match="holds no video clips"):
        open_source(f"tfds:other:train@{tmp_path}")


def test_build_says_what_is_wrong_and_writes_nothing(folder, tmp_path, capsys, wrp):
    output = tmp_path / "tfds"
    label = folder / "a/labels/000004.png"
    content = label.read_bytes()
    label.write_bytes(content[:-60])
    assert wrp("build", f"--data={folder}", f"--output={output}") == 2
    label.write_bytes(content)
    assert wrp("build", f"--data={folder}", f"--output={folder / 'out'}") == 2
    assert wrp("build", f"--data={folder}", f"--output={output}", "--name=../x") == 2
    assert wrp("build", f"--data={folder}", f"--output={output}", "--set=camvid") == 2
    said = capsys.readouterr().err.strip().splitlines()
    for line, part in zip(
        said, ("000004.png", "lies inside the input", "no name for a data set", "11 classes"),
        strict=True,
    ):  # fmt: skip
        assert part in line
    assert not output.exists() and not (folder / "out").exists()
    made_elsewhere = output / "folder_video/videos/1.0.0"
    made_elsewhere.mkdir(parents=True)
    assert wrp("build", f"--data={folder}", f"--output={output}") == 2
    assert "is there already, without a record" in capsys.readouterr().err


def test_build_compares_its_own_output(folder, tmp_path, capsys, caplog, wrp, monkeypatch):
    target = tmp_path / "tfds/folder_video/videos/1.0.0"

    def build():
        caplog.clear()
        before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
        code = wrp("build", f"--data={folder}", f"--output={tmp_path / 'tfds'}")
        spec = capsys.readouterr().out.strip().splitlines()[-1]
        same = before == {path: path.stat().st_mtime_ns for path in target.rglob("*")}
        return code, spec, same

    code, spec, _ = build()
    assert code == 0
    assert build() == (0, spec, True) and "nothing to do" in caplog.text
    shutil.copy(folder / "a/frames/000001.jpg", folder / "a/frames/000002.jpg")
    assert build() == (0, spec, False) and "has changed" in caplog.text
    read, written = open_source(spec), open_source(str(folder))
    assert (read.frame("a", "000002") == written.frame("a", "000002")).all()
    assert build() == (0, spec, True)
    (folder / "a/labels/000004.png").unlink()
    assert build() == (0, spec, False)
    assert open_source(spec).label_names("a") == open_source(str(folder)).label_names("a")
    shard = next(target.glob("*.array_record-*"))
    shard.write_bytes(shard.read_bytes()[:-9])
    assert build() == (0, spec, False) and f"{shard} was changed" in caplog.text
    _same(open_source(spec), open_source(str(folder)), ["a"])

    # Stopped while it builds again: what was there is there still.
    content = shard.read_bytes()
    shutil.copy(folder / "a/frames/000001.jpg", folder / "a/frames/000003.jpg")
    monkeypatch.setattr(clips, "frame_bytes", Mock(side_effect=Interrupted("stopped")))
    assert wrp("build", f"--data={folder}", f"--output={tmp_path / 'tfds'}") == 4
    assert shard.read_bytes() == content
    target.rename(target.with_name("incomplete.before_1.0.0"))  # killed instead
    assert wrp("build", f"--data={folder}", f"--output={tmp_path / 'tfds'}") == 4
    assert shard.read_bytes() == content
    monkeypatch.undo()
    capsys.readouterr()
    assert build() == (0, spec, False)
    _same(open_source(spec), open_source(str(folder)), ["a"])
    assert not list(target.parent.glob("incomplete.*"))


def test_what_a_killed_build_left_is_removed(folder, tmp_path, capsys, wrp):
    home = tmp_path / "tfds" / "folder_video" / "videos"
    left, other = home / "incomplete.ABCDEF_1.0.0", home / "incomplete.ABCDEF_2.0.0"
    for place in (left, other):
        place.mkdir(parents=True)
        (place / "half").write_bytes(b"half")
    command = [f"--data={folder}", f"--output={tmp_path / 'tfds'}"]
    with sole_writer(home, "--output"):
        assert wrp("build", *command) == 2
        assert "by another run" in capsys.readouterr().err and left.exists()
    assert wrp("build", *command) == 0
    shown = sorted(p.name for p in home.iterdir() if not p.name.startswith("."))
    assert shown == ["1.0.0", other.name, "run.json"]


def test_camvid_has_video_and_stills(tmp_path, capsys, wrp):
    shared = Path(__file__).parents[3] / ".." / "shared" / "data" / "camvid"
    if not shared.is_dir():
        pytest.skip("the CamVid frames are not beside this repository")
    root = tmp_path / "camvid"
    for sequence in ("0016E5_15hz_a", "0001TP"):
        for kind in ("frames", "labels"):
            (root / sequence / kind).mkdir(parents=True)
            for path in sorted((shared / sequence / kind).iterdir())[:3]:
                (root / sequence / kind / path.name).write_bytes(path.read_bytes())
    (root / "classes.json").write_bytes((shared / "classes.json").read_bytes())
    assert wrp("build", f"--data={root}", f"--output={tmp_path / 'out'}", "--set=camvid") == 0
    video, stills = capsys.readouterr().out.strip().splitlines()[-1].split()
    assert video.startswith("tfds:camvid:video@") and stills.startswith("tfds:camvid:stills@")
    _same(open_source(video), open_source(str(root)), ["0016E5_15hz_a"])
    _same(open_source(stills), open_source(str(root)), ["0001TP"])
