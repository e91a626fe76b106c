import numpy as np
from PIL import Image

from wrp_jax.data.folder import open_folder
from wrp_jax.data.frame_files import frame_file
from wrp_jax.data.synthetic.source import open_synthetic


def test_files_that_a_browser_shows(tmp_path):
    for name in ("0.jpg", "1.tif", "2.PNG"):
        path = tmp_path / "frames" / name
        path.parent.mkdir(exist_ok=True)
        kind = {"jpg": "JPEG", "tif": "TIFF", "PNG": "PNG"}[name[2:]]
        Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path, kind)
    source = open_folder(tmp_path, labelled=False)
    found = {name: frame_file(source, tmp_path.name, name) for name in ("0", "1", "2")}
    assert found == {"0": tmp_path / "frames/0.jpg", "1": None, "2": tmp_path / "frames/2.PNG"}


def test_frames_in_memory_have_no_file():
    source = open_synthetic("clips=1,frames=2,height=8,width=8")
    assert frame_file(source, source.sequences[0], "000000") is None
