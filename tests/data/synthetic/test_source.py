"""The source, the folder and the TFDS data set hold what was rendered."""

import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data import label_maps
from wrp_jax.data.open_source import open_source
from wrp_jax.data.synthetic.config import CLASSES, SyntheticConfig
from wrp_jax.data.synthetic.export import write_folder
from wrp_jax.data.synthetic.source import SyntheticSource, open_synthetic
from wrp_jax.data.windows import read_windows
from wrp_jax.types import UserError

OPTIONS = "clips=2,frames=3,height=17,width=31,seed=5"


def test_source_answers_as_a_video_source():
    source = open_source(f"synthetic:{OPTIONS}")
    assert isinstance(source, SyntheticSource)
    assert source.sequences == ("clip_000", "clip_001")
    names = source.frame_names("clip_001")
    assert names == ("000000", "000001", "000002")
    assert source.label_names("clip_001") == frozenset(names)
    clip = source.clip("clip_001")
    assert (source.frame("clip_001", names[2]) == clip.frames[2]).all()
    assert (source.label("clip_001", names[2]) == clip.labels[2]).all()
    assert source.label("clip_001", names[2]).dtype == np.int32
    with pytest.raises(KeyError):
        source.frame_names("clip_002")


def test_cache_is_bounded_and_rendering_again_gives_the_same():
    config = SyntheticConfig(height=17, width=31, frames=3, town=5)
    source = SyntheticSource(config, clips=2, seed=5, cache_bytes=0)
    first = source.frame("clip_000", "000001")
    source.frame("clip_001", "000001")
    assert len(source._cache) == 1
    assert (source.frame("clip_000", "000001") == first).all()


def test_source_travels_to_workers():
    source = open_synthetic(OPTIONS)
    frame = source.frame("clip_000", "000000")
    copy = pickle.loads(pickle.dumps(source))
    assert not copy._cache
    assert (copy.frame("clip_000", "000000") == frame).all()


def test_other_process_renders_the_same_bytes():
    code = (
        "import zlib; from wrp_jax.data.synthetic.source import open_synthetic;"
        f"c = open_synthetic('{OPTIONS}').clip('clip_000');"
        "print(zlib.crc32(c.frames.tobytes() + c.labels.tobytes() + c.flow_backward.tobytes()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    clip = open_synthetic(OPTIONS).clip("clip_000")
    data = clip.frames.tobytes() + clip.labels.tobytes() + clip.flow_backward.tobytes()
    assert int(run.stdout) == zlib.crc32(data)


def test_options_choose_towns():
    assert open_synthetic("seed=5").config.town == 5
    assert open_synthetic("seed=5,town=2").config.town == 2
    assert open_synthetic("seed=5,town=none").config.town is None
    assert open_synthetic("speed=0.2").config.speed == 0.2


@pytest.mark.parametrize(
    "options, hint",
    [
        ("clisp=3", "clisp"),
        ("frames", "frames"),
        ("frames=many", "many"),
        ("speed=fast", "fast"),
        ("clips=0", "clip"),
        ("seed=-1", "seed"),
        ("height=0", "height"),
    ],
)
def test_wrong_options_are_told(options, hint):
    with pytest.raises(UserError, match=hint):
        open_synthetic(options)


def test_folder_holds_the_clips(tmp_path):
    source = open_synthetic(OPTIONS)
    write_folder(source, tmp_path / "streets")
    root = tmp_path / "streets"
    frame = np.asarray(Image.open(root / "clip_001" / "frames" / "000002.png"))
    assert (frame == source.frame("clip_001", "000002")).all()
    image = Image.open(root / "clip_001" / "labels" / "000002.png")
    assert image.mode == "P"
    assert (np.asarray(image) == source.label("clip_001", "000002")).all()
    assert (np.asarray(image.convert("RGB")) == CLASSES.colors[np.asarray(image)]).all()
    assert (root / "splits" / "windows.txt").read_text() == (
        "clip_000 000001 000000 000002\nclip_001 000001 000000 000002\n"
    )
    again = open_source(str(root))
    assert label_maps.same_classes(again.classes, CLASSES)
    assert again.sequences == source.sequences
    assert (again.label("clip_000", "000001") == source.label("clip_000", "000001")).all()
    assert len(read_windows(root / "splits" / "windows.txt", again)) == 2
