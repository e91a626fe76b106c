from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wrp_jax.labelling.plan import check_free, chosen_methods, claim, make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.types import UserError, Window


def request_for(root, tmp_path, **options):
    return Request(data=str(root), output=tmp_path / "out", **options)


def write(path, text):
    path.write_text(text)
    return str(path)


def test_every_frame_goes_to_its_nearest_labelled_one(make_folder, tmp_path, config):
    config.propagation.sides = "nearest"
    root = make_folder({"a": 7, "b": 3}, lambda s, t: (s, t) in {("a", 1), ("a", 5), ("b", 0)})
    plan = make_plan(config, request_for(root, tmp_path))
    assert plan.windows == (
        Window("a", "001", "000", "003"),
        Window("a", "005", "004", "006"),
        Window("b", "000", "000", "002"),
    )
    assert [(job.window.sequence, job.names[i], job.window.key) for job, i in plan.written()] == [
        *(("a", f"00{t}", "001" if t < 4 else "005") for t in range(7)),
        *(("b", f"00{t}", "000") for t in range(3)),
    ]
    assert plan.methods[-1] == plan.main == "warp-refine"
    assert not (tmp_path / "out").exists()


def test_horizon_cuts_given_windows(make_folder, tmp_path, config):
    root = make_folder({"a": 9})
    windows = write(tmp_path / "w.txt", "a 004 000 008\n")
    cut = make_plan(config, request_for(root, tmp_path, windows=windows, horizon=3))
    assert cut.windows == (Window("a", "004", "001", "007"),)
    whole = make_plan(config, request_for(root, tmp_path, windows=windows))
    assert whole.windows == (Window("a", "004", "000", "008"),)


def test_regular_keyframes_of_a_config(make_folder, tmp_path, config):
    root = make_folder({"a": 10})
    config.key_every = 5
    plan = make_plan(config, request_for(root, tmp_path))
    assert [w.key for w in plan.around] == ["002", "007"]


def test_methods():
    assert chosen_methods("static") == ("static",)
    assert {"motion-only", "semantic-only", "warp-inpaint"} < set(chosen_methods("all"))
    assert chosen_methods("flow-voting") == ("flow-voting",)
    assert "flow-voting" not in chosen_methods("all")
    with pytest.raises(UserError, match="--method=magic"):
        chosen_methods("magic")


@pytest.mark.parametrize(
    "sequence",
    ["methods", "tfds", "training", "report.html", "Run.json", "metrics.json", "windows "],
)
def test_sequences_must_not_take_the_places_of_the_output(make_folder, tmp_path, config, sequence):
    root = make_folder({sequence: 3})
    request = request_for(root, tmp_path)
    if sequence == "windows ":
        make_plan(config, request)
    else:
        with pytest.raises(UserError, match=r"a file or folder \S+ of its own"):
            make_plan(config, request)


def test_mistakes(make_folder, tmp_path, config):
    root = make_folder({"a": 4})
    w, k = write(tmp_path / "w.txt", "a 001 000 003\n"), write(tmp_path / "k.txt", "a 001\n")
    with pytest.raises(UserError, match="exclude each other"):
        make_plan(config, request_for(root, tmp_path, windows=w, keyframes=k))
    with pytest.raises(UserError, match="--horizon=0"):
        make_plan(config, request_for(root, tmp_path, horizon=0))
    with pytest.raises(UserError, match="inside the input"):
        make_plan(config, Request(data=str(root), output=root / "out"))
    with pytest.raises(UserError, match="no frame '077'"):
        bad = write(tmp_path / "bad.txt", "a 001 000 077\n")
        make_plan(config, request_for(root, tmp_path, windows=bad))
    # A label that is only scored against is checked as well, before anything is written.
    Image.fromarray(np.full((24, 32), 55, np.uint8)).save(root / "a" / "labels" / "003.png")
    with pytest.raises(UserError, match=r"003\.png"):
        make_plan(config, request_for(root, tmp_path, keyframes=k))
    assert not (tmp_path / "out").exists()


def test_files_of_others_are_not_overwritten(make_folder, tmp_path, config):
    root = make_folder({"a": 4})
    plan = make_plan(config, request_for(root, tmp_path))
    hand_made = Path(plan.output) / "a" / "labels" / "001.png"
    hand_made.parent.mkdir(parents=True)
    hand_made.write_bytes(b"precious")
    with pytest.raises(UserError, match="not of an earlier run"):
        check_free(plan)
    assert hand_made.read_bytes() == b"precious"


def test_output_belongs_to_its_settings(make_folder, tmp_path, config):
    root = make_folder({"a": 4})
    plan = make_plan(config, request_for(root, tmp_path))
    claim(plan, "weights 1")
    claim(plan, "weights 1")
    with pytest.raises(UserError, match="differs in networks"):
        claim(plan, "weights 2")
    config.propagation.tau = 0.1
    with pytest.raises(UserError, match=r"differs in propagation\."):
        claim(make_plan(config, request_for(root, tmp_path)), "weights 1")
    config.propagation.tau, config.segmentation.inference.flip = 0.5, False
    with pytest.raises(UserError, match=r"differs in segmentation\.inference\.flip"):
        claim(make_plan(config, request_for(root, tmp_path)), "weights 1")
    config.segmentation.inference.flip, config.refiner.doubt.frames = True, 5
    with pytest.raises(UserError, match=r"differs in refiner\.doubt\.frames"):
        claim(make_plan(config, request_for(root, tmp_path)), "weights 1")
