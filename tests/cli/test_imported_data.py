"""``--label``: what is brought in before anything is trained."""

import numpy as np
import pytest
from PIL import Image

from wrp_jax.cli.imported_data import imported_request
from wrp_jax.files.lock import HeldElsewhereError, sole_writer
from wrp_jax.labelling.request import Request
from wrp_jax.types import UserError


def test_what_a_run_at_work_reads_is_not_written_over(tmp_path):
    video, out = tmp_path / "video", tmp_path / "out"
    video.mkdir()
    for number in range(3):
        Image.fromarray(np.full((4, 6, 3), number, np.uint8)).save(video / f"{number:03d}.png")
    labels = []
    for value in (0, 1):
        folder = tmp_path / str(value)
        folder.mkdir()
        pixels = np.full((4, 6), value, np.uint8)
        pixels[0] = 2
        Image.fromarray(pixels).save(folder / "001.png")
        labels.append(str(folder / "001.png"))
    request = Request(str(video), out, "motion-only")
    with imported_request(request, labels[:1]) as found:
        assert found.data == str(out / "imported")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with (
        sole_writer(out, "--output"),
        pytest.raises(HeldElsewhereError, match="being written by another run"),
        imported_request(request, labels[1:]),
    ):
        pass
    assert all(path.read_bytes() == content for path, content in before.items())
    with imported_request(request, labels[1:]):
        assert any(path.read_bytes() != content for path, content in before.items())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"method": "magic"}, "--method=magic is unknown"),
        ({"horizon": 0}, "--horizon=0"),
        ({"min_quality": 500.0}, "--min_quality=500"),
        ({"method": "motion-only", "choose_tau": True}, "motion-only has no τ"),
    ],
)
def test_a_wrong_request_leaves_nothing(tmp_path, wrong, says):
    video = tmp_path / "video"
    video.mkdir()
    for number in range(2):
        pixels = np.full((4, 6), number, np.uint8)
        Image.fromarray(np.stack([pixels] * 3, -1)).save(video / f"{number:03d}.png")
        Image.fromarray(pixels).save(tmp_path / f"{number:03d}.png")
    request = Request(str(video), tmp_path / "out", **wrong)
    with (
        pytest.raises(UserError, match=says),
        imported_request(request, [str(tmp_path / "001.png")]),
    ):
        pass
    assert not (tmp_path / "out").exists()
