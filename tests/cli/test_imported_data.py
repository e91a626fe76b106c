"""``--label`` and exports as ``--data``: what is brought in before anything is trained."""

import contextlib
import dataclasses
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from wrp_jax.cli.imported_data import imported_request
from wrp_jax.data.open_source import open_source
from wrp_jax.files.lock import HeldElsewhereError, sole_writer
from wrp_jax.files.shards import WHOLE, Shard
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.score import frames_to_score
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


def an_export(root):
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
        Image.fromarray(np.ones((4, 6), np.uint8)).save(root / folder / "1.png")
    return root


@pytest.mark.parametrize("shard", [WHOLE, Shard(1, 3)])
def test_an_export_as_data(tmp_path, shard):
    export, out = an_export(tmp_path / "export"), tmp_path / "out"
    request = Request(str(export), out, "motion-only", shard=shard)
    for _ in range(2):
        with imported_request(request, []) as found:
            assert found == dataclasses.replace(request, data=str(out / "imported"))
            assert open_source(found.data).label_names("export") == {"1"}
    ours = dataclasses.replace(request, data=str(out / "imported"))
    with imported_request(ours, []) as found:
        assert found is ours
    with (
        pytest.raises(UserError, match="--label goes with a video or a folder of its frames"),
        imported_request(Request(str(export), out), [str(export / "SegmentationClass/1.png")]),
    ):
        pass


def test_an_export_for_a_folder_of_others(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/metrics.json").write_text("mine")
    request = Request(str(an_export(tmp_path / "export")), tmp_path / "out", "motion-only")
    with pytest.raises(UserError, match=r"metrics.json is there already"):
        imported_request(request, []).__enter__()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["metrics.json"]


# ml_collections loads config files by a deprecated call.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_an_export_to_be_scored_on(tmp_path, monkeypatch, wrp):
    export, run = an_export(tmp_path / "export"), tmp_path / "run"
    (tmp_path / "list.txt").write_text("export 1\n")
    scored = []

    def score_run(config, test, workdir, *, name):
        scored.append((test, name, frames_to_score(test)[1]))
        return {"miou": 0.0, "frames": 1}

    # Processes are joined once, before anything else.
    monkeypatch.setattr("wrp_jax.cli.command_line.joined_processes", contextlib.nullcontext)
    monkeypatch.setattr("wrp_jax.api.fit.fit", lambda *_, workdir, **__: Mock(workdir=run))
    monkeypatch.setattr("wrp_jax.labelling.score.score_run", score_run)
    words = ("train", "--config=segment_folder", "--stills=D:LIST", f"--workdir={run}")
    for test, here in (
        (f"{export}", f"{run}/imported_test"),
        (f"{export}:{tmp_path}/list.txt", f"{run}/imported_test:{tmp_path}/list.txt"),
        (f"{run}/imported_test", f"{run}/imported_test"),
    ):
        assert wrp(*words, f"--config.test={test}") == 0
        assert (here, test) == scored[-1][:2] and list(scored[-1][2]) == [("export", "1")]


def test_an_export_is_built_under_its_name(tmp_path, monkeypatch, wrp):
    export, built = an_export(tmp_path / "export"), []
    monkeypatch.setattr(
        "wrp_jax.data.tfds.build.build_clips",
        lambda kind, data, output, name: built.append(
            (data.name, open_source(str(data)).sequences)
        ),
    )
    assert wrp("build", f"--data={export}", f"--output={tmp_path / 'out'}") == 0
    assert built == [("export", ("export",))] and not (tmp_path / "out").exists()
