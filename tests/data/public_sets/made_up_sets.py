"""What tests of public data sets share: pictures on disk, and the folder that comes out."""

import json

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.data.public_sets.convert import convert_set
from wrp_jax.data.tfds.build import build_clips
from wrp_jax.data.windows import read_windows, window_frames
from wrp_jax.types import UserError


def write(path, pixels):
    """A picture of these pixels, in folders that need not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def write_pair(frame, label, ids, value=0):
    """A frame of one grey, and its label; None for neither."""
    ids = np.asarray(ids)
    if frame is not None:
        write(frame, np.full((*ids.shape, 3), value))
    if label is not None:
        write(label, ids)


def converted(name, data, out):
    """The source that a data set becomes."""
    convert_set(name, data, out)
    return open_source(str(out))


def written(source, sequence, name):
    """A label of the source, in ids of its files."""
    return np.array(source.classes.ids)[source.label(sequence, name)]


def rows(out, title):
    """A list of the folder."""
    return [
        tuple(line.split("\t"))
        for line in (out / "splits" / f"{title}.txt").read_text().splitlines()
    ]


def void_names(classes):
    return [name for name, void in zip(classes.names, classes.void, strict=True) if void]


def expect_sentence(name, data, out, says, *, untouched=False):
    """The set is refused with one sentence that holds ``says``."""
    with pytest.raises(UserError, match=says) as refused:
        convert_set(name, data, out)
    message = str(refused.value)
    assert "\n" not in message and message.endswith(".")
    assert not (untouched and out.exists())


def expect_resume(name, data, out):
    """A run over a finished folder writes what is gone, and nothing else."""
    convert_set(name, data, out)
    gone, *others = sorted(out.glob("*/labels/*.png"))
    assert others, "one label cannot show what is kept"
    content, before = gone.read_bytes(), [path.stat().st_mtime_ns for path in others]
    gone.unlink()
    next(iter(out.glob("*/frames/*"))).unlink()
    assert convert_set(name, data, out)
    assert gone.read_bytes() == content
    assert [path.stat().st_mtime_ns for path in others] == before
    assert len(list(out.glob("*/frames/*"))) >= len(others) + 1


def expect_clips(name, data, tmp_path, kind="folder"):
    """The set as TFDS clips is the folder again, and holds the windows' frames but no windows."""
    folder = converted(name, data, tmp_path / "folder")
    spec = build_clips(kind, tmp_path / "folder", tmp_path / "tfds").split()[0]
    source = open_source(spec)
    assert source.classes.names == folder.classes.names
    for sequence in source.sequences:
        names = source.frame_names(sequence)
        assert names == folder.frame_names(sequence)
        assert source.label_names(sequence) == folder.label_names(sequence)
        for name in {names[0], names[-1]}:
            np.testing.assert_array_equal(
                source.frame(sequence, name), folder.frame(sequence, name)
            )
        for name in sorted(source.label_names(sequence))[:2]:
            np.testing.assert_array_equal(
                source.label(sequence, name), folder.label(sequence, name)
            )
    lists = sorted((tmp_path / "folder" / "splits").glob("*_windows.txt"))
    for path in lists:
        windows = read_windows(path, source)
        assert windows == read_windows(path, folder)
        assert all(window.key in window_frames(window, source) for window in windows)
    (info,) = (tmp_path / "tfds").rglob("features.json")
    features = json.loads(info.read_text())["featuresDict"]["features"]
    assert set(features) == {"sequence", "start", "frame_names", "frames", "labels"}
    assert set(json.loads((info.parent / "metadata.json").read_text())) == {"classes", "clips"}
    return source, [path.stem for path in lists]


def parametrize_mistakes(*mistakes):
    return pytest.mark.parametrize(("spoil", "says"), mistakes, ids=[m[0] for m in mistakes])
