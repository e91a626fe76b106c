"""A file that is found damaged when it is decoded spoils its window alone."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from wrp_jax.data.flow_files import write_flow
from wrp_jax.files.failures import Failures
from wrp_jax.files.verify import verify
from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.predict import write_predictions
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.motion.dump import dump
from wrp_jax.motion.precomputed import check_flows, precomputed_motion
from wrp_jax.motion.still import zero_motion
from wrp_jax.segmentation.predicted import PrecomputedSegment
from wrp_jax.segmentation.predictions import open_predictions, write_arrays
from wrp_jax.types import Interrupted, MachineError, OutputError, UserError


def spoil_jpeg(path):
    """The mark of a beginning in its middle; header and end are as they were."""
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xda") + 40  # behind the tables
    content[place : place + 2] = b"\xff\xd8"
    path.write_bytes(content)


def spoil_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.fixture
def root(make_folder):
    """Sequences a, b and c of JPEG frames, labelled in the middle."""
    root = make_folder({"a": 5, "b": 5, "c": 5}, lambda sequence, t: t == 2)
    for path in root.glob("*/frames/*.png"):
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    return root


@pytest.fixture
def plan(root, tmp_path, config):
    plan = make_plan(config, Request(str(root), tmp_path / "out"))
    return dataclasses.replace(plan, methods=("motion-only", "semantic-argmax"))


def listed(plan):
    path = plan.output / "failures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(plan, networks, **options):
    failures = Failures(plan.output, **options)
    results = label_windows(plan, networks, failures)
    return results, finish(plan, results, failed=len(failures))


def labels(plan):
    return {str(p.relative_to(plan.output)): p.read_bytes() for p in plan.output.rglob("*.png")}


def test_a_bad_frame_spoils_its_window_alone_until_it_is_mended(plan, root, networks, tmp_path):
    whole = dataclasses.replace(plan, output=tmp_path / "whole")
    run(whole, networks)
    frame = root / "b/frames/003.jpg"
    good = frame.read_bytes()
    spoil_jpeg(frame)
    results, metrics = run(plan, networks)
    assert sorted(results) == [0, 2]
    (entry,) = listed(plan)
    assert (entry["sequence"], entry["labelled"], entry["frame"]) == ("b", "002", "003")
    assert "b/frames/003.jpg is damaged or cut off" in entry["reason"]
    assert metrics["missing"] == {"failed": 1, "unlabelled": 0}
    assert metrics["windows"] == 2 and metrics["frames"] == 10
    assert metrics["notes"][0].startswith("1 of 3 windows are missing: 1 failed (failures.jsonl")
    assert metrics["notes"][0] in (plan.output / "report.html").read_text()
    rows = tfds.builder_from_directory(plan.output / "tfds").info.splits["train"].num_examples
    assert rows == 10
    # Nothing of the window is left that could be taken for a result.
    assert not list(plan.output.glob("b/*/*")) + list(plan.output.glob("methods/*/b/*/*"))
    assert labels(plan).items() <= labels(whole).items()

    frame.write_bytes(good)
    _, metrics = run(plan, networks)
    assert not listed(plan) and metrics["missing"] == {"failed": 0, "unlabelled": 0}
    assert labels(plan) == labels(whole)


def test_labels_of_a_window_whose_frame_was_damaged_later_go(plan, root, networks):
    run(plan, networks)
    spoil_jpeg(root / "b/frames/002.jpg")
    _, metrics = run(plan, networks)
    assert metrics["missing"]["failed"] == 1
    assert not list(plan.output.glob("b/*/*")) and not verify(plan.output)[1]


def test_without_any_finished_window_there_are_no_scores(plan, root, networks):
    run(plan, networks)
    for path in root.glob("*/frames/002.jpg"):
        spoil_jpeg(path)
    results, metrics = run(plan, networks)
    assert results == {} and metrics["missing"]["failed"] == 3
    assert len(listed(plan)) == 3
    left = {path.name for path in plan.output.iterdir()}
    assert not left & {"metrics.json", "report.html", "tfds"} and not verify(plan.output)[1]


def test_fail_fast_ends_the_run(plan, root, networks):
    spoil_jpeg(root / "b/frames/003.jpg")
    with pytest.raises(UserError, match=r"003\.jpg is damaged"):
        run(plan, networks, fail_fast=True)
    assert not listed(plan) and not list(plan.output.glob("c/labels/*"))


@pytest.mark.parametrize(
    "error", [MachineError("full"), Interrupted("stopped"), OutputError("a link"), KeyError("bug")]
)
def test_what_is_no_fault_of_an_input_ends_the_run(plan, networks, error):
    def segment(clip, positions):
        if clip.sequence == "b":
            raise error
        return networks.segment(clip, positions)

    with pytest.raises(type(error)):
        run(plan, networks._replace(segment=segment))
    assert not listed(plan)


def test_the_limit_leaves_the_rest_to_the_next_run(plan, networks):
    failures = Failures(plan.output)
    results = label_windows(plan, networks, failures, limit=1)
    assert sorted(results) == [0] and not list(plan.output.glob("[bc]/labels/*"))
    metrics = finish(plan, results)
    assert metrics["missing"] == {"failed": 0, "unlabelled": 2}
    assert "2 not labelled yet" in metrics["notes"][0]
    assert sorted(label_windows(plan, networks, failures, limit=2)) == [0, 1]
    assert sorted(label_windows(plan, networks, failures)) == [0, 1, 2]


def test_a_failure_stays_listed_until_its_window_is_tried_again(plan, root, networks):
    spoil_jpeg(root / "c/frames/003.jpg")
    run(plan, networks)
    failures = Failures(plan.output)
    label_windows(plan, networks, failures, limit=1)
    assert [entry["sequence"] for entry in listed(plan)] == ["c"]
    # Nor does it outlive the window.
    label_windows(dataclasses.replace(plan, jobs=plan.jobs[:2]), networks)
    assert not listed(plan)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1]\n", b'{"sequence": "a"}\n', b"\xff\n"],
    ids=["empty", "cut off", "a list", "no reason", "no text"],
)
def test_a_file_that_is_no_list_of_failures_is_written_anew(tmp_path, text, caplog):
    # A worker cannot send a captured message that holds such a name.
    caplog.set_level("CRITICAL", logger="wrp_jax.files.failures")
    (tmp_path / "failures.jsonl").write_bytes(text)
    failures = Failures(tmp_path)
    assert len(failures) == 0
    with failures.of(sequence="a", labelled="1"):
        raise UserError("b\udc80.png is damaged")
    assert [json.loads(line)["reason"] for line in failures.path.read_text().splitlines()]
    assert Failures(tmp_path).reasons == ("b\udc80.png is damaged",)


@pytest.fixture
def flows(plan, tmp_path):
    """Flow of zeros between all neighbours, as .flo."""
    for sequence in "abc":
        for t in range(5):
            for side, there in (("backward", t > 0), ("forward", t < 4)):
                if there:
                    path = tmp_path / "flow" / sequence / side / f"{t:03d}.flo"
                    write_flow(path, np.zeros((24, 32, 2), np.float32))
    return tmp_path / "flow"


def test_a_flow_of_nan_in_the_middle_of_a_set_spoils_its_window_alone(plan, networks, flows):
    path = flows / "b/backward/003.flo"
    path.write_bytes(path.read_bytes()[:12] + np.full((24, 32, 2), np.nan, "<f4").tobytes())
    check_flows(flows, plan.source, plan.windows)  # its header and length are right
    motion = precomputed_motion(flows, zero_motion())
    results, _ = run(plan, networks._replace(motion=motion))
    assert sorted(results) == [0, 2]
    (entry,) = listed(plan)
    assert (entry["sequence"], entry["frame"]) == ("b", "003")
    assert "backward/003.flo holds NaN" in entry["reason"]


def test_a_broken_prediction_archive_spoils_its_window_alone(plan, tmp_path, networks):
    folder, rng = tmp_path / "predictions", np.random.default_rng(0)
    for sequence in "abc":
        for t in range(5):
            probs = rng.dirichlet(np.ones(3), (24, 32)).astype(np.float32)
            write_arrays(folder, sequence, f"{t:03d}", probs, probs[::4, ::4])
    spoil_middle(folder / "b/probs/003.npz")
    predictions = open_predictions(str(folder), plan.source, plan.windows)
    segment = PrecomputedSegment(predictions, plan.windows)
    results, _ = run(plan, networks._replace(segment=segment))
    assert sorted(results) == [0, 2]
    (entry,) = listed(plan)
    assert (entry["sequence"], entry["frame"]) == ("b", "003")
    assert "probs/003.npz is damaged" in entry["reason"]


def test_a_frame_that_cannot_be_read_has_no_prediction_the_others_do(plan, root, tmp_path):
    frame = root / "b/frames/003.jpg"
    good = frame.read_bytes()
    spoil_jpeg(frame)
    asked = []

    def segment(clip, positions):
        asked.extend((clip.sequence, name) for name in clip.names)
        n = len(positions)
        return np.full((n, 24, 32, 3), 1 / 3, np.float32), np.zeros((n, 1, 1, 1), np.float32)

    output = tmp_path / "predictions"
    assert write_predictions(segment, plan.source, output, "png") == 14
    (entry,) = [json.loads(s) for s in (output / "failures.jsonl").read_text().splitlines()]
    assert (entry["sequence"], entry["frame"]) == ("b", "003")
    frame.write_bytes(good)
    assert write_predictions(segment, plan.source, output, "png") == 1
    assert not (output / "failures.jsonl").exists()
    assert len(asked) == len(set(asked)) == 15
    spoil_jpeg(frame)
    assert write_predictions(segment, plan.source, output, "png", limit=1) == 0
    assert (output / "b/labels/003.png").exists()
    assert write_predictions(segment, plan.source, output, "png", limit=2) == 0
    assert (output / "failures.jsonl").exists() and not list(output.glob("b/*/003.png"))
    assert verify(output) == (28, [])


def test_a_frame_that_cannot_be_read_has_no_flow_the_other_sequences_do(plan, root, tmp_path):
    frame = root / "b/frames/003.jpg"
    good = frame.read_bytes()
    spoil_jpeg(frame)
    output = tmp_path / "flow"
    assert dump(zero_motion(), plan.source, output, suffix=".flo") == 16
    (entry,) = [json.loads(s) for s in (output / "failures.jsonl").read_text().splitlines()]
    assert entry["sequence"] == "b" and "003.jpg is damaged" in entry["reason"]
    frame.write_bytes(good)
    assert dump(zero_motion(), plan.source, output, suffix=".flo", limit=1) == 0
    assert dump(zero_motion(), plan.source, output, suffix=".flo", limit=2) == 8
    assert not (output / "failures.jsonl").exists()
    spoil_jpeg(frame)
    assert dump(zero_motion(), plan.source, output, suffix=".flo") == 0
    assert (output / "failures.jsonl").exists() and not list(output.glob("b/*/003.flo"))
    assert not verify(output)[1]
