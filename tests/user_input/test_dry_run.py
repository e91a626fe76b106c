"""``--dry-run`` says what a run would do, and leaves no trace."""

import re

import numpy as np
import pytest
from small_folder import command, refused, save, tree

from wrp_jax.data.open_source import open_source
from wrp_jax.files.output import claim_output
from wrp_jax.labelling.dry_run import describe_predictions
from wrp_jax.labelling.predict import write_predictions

STATIC = (
    "--method=static",
    "--config.propagation.horizon=1",
    "--config.propagation.sides=nearest",  # a window around each labelled frame
)


def dry(server, home, program, *flags):
    before = tree(home)
    code, out, error = command(server, home, program, *flags, "--dry-run")
    assert code == 0, error
    assert tree(home) == before
    said = dict(line.split(": ", 1) for line in out.splitlines())
    if "time" in said and said["time"] != "none":
        assert re.match(r"about [\d.]+ s: [\d.e-]+ s of compiling and [\d.e-]+ s per", said["time"])
        megabytes = int(re.match(r"about (\d+) MB, the peak of", said["memory"])[1])
        assert 100 < megabytes < 1000
    return said


def size(text):
    number, unit = re.match(r"about ([\d.]+) (bytes|kB|MB)", text).groups()
    return float(number) * {"bytes": 1, "kB": 1e3, "MB": 1e6}[unit]


def written(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_dry_run_tells_what_is_to_be_done_and_what_was_done(server, home):
    for t in range(5, 9):  # frames that no labelled one reaches
        save(home / "D/a/frames" / f"{t}.png", np.zeros((17, 31, 3)))
    said = dry(server, home, "propagate.py", *STATIC)
    assert said["windows"] == "2 in 1 sequence; labelled frames: 2"
    # 1 reaches 0 and 2; 3 reaches 4.
    assert said["frames to label"] == "3; out of reach of every window: 4 of 9"
    assert said["finished before"] == "0 windows"
    assert said["this run"] == "2 windows, 5 frames, labelled ones included"
    forecast = size(said["disk"])

    assert command(server, home, "propagate.py", *STATIC, "--limit=1")[0] == 0
    said = dry(server, home, "propagate.py", *STATIC)
    assert said["finished before"] == "1 window"
    assert said["this run"] == "1 window, 2 frames, labelled ones included"
    assert command(server, home, "propagate.py", *STATIC)[0] == 0
    assert forecast / 2 < written(home / "OUT") < 2 * forecast  # of 5 frames; a report has a size
    assert dry(server, home, "propagate.py", *STATIC)["time"] == "none"
    save(home / "D/a/frames/0.png", np.zeros((17, 31, 3)))  # of the window that is finished
    assert dry(server, home, "propagate.py", *STATIC)["finished before"] == "1 window"


def test_a_dry_run_of_flow_and_of_predictions(server, home):
    said = dry(server, home, "wrp flow")
    assert said["frames"] == "5 in 1 sequence" and said["finished before"] == "0 flow files"
    assert said["this run"] == "8 flow files"
    assert command(server, home, "wrp flow")[0] == 0
    assert size(said["disk"]) == pytest.approx(written(home / "OUT"), rel=0.2)
    save(home / "D/a/frames/4.png", np.zeros((17, 31, 3)))
    said = dry(server, home, "wrp flow")
    # Frames on either side of a pair count.
    assert said["finished before"] == "4 flow files" and said["this run"] == "4 flow files"

    source = open_source(str(home / "D"))
    tested = home / "PREDICTIONS"

    def segment(clip, positions):
        return np.full((len(positions), 17, 31, 2), 0.5, np.float32), np.zeros((9, 1, 1, 0))

    lines = list(describe_predictions(segment, source, tested, "png"))
    assert lines[:3] == ["frames: 5 in 1 sequence", "finished before: 0 frames",
                         "this run: 5 frames"]  # fmt: skip
    assert not tested.exists() and lines[3].startswith("time: about ")
    run = {"weights": "a"}
    claim_output(tested, run)
    write_predictions(segment, source, tested, "png", limit=1)
    (tested / "run.json").unlink()
    assert list(describe_predictions(segment, source, tested, "png", run=run))[3:] == ["time: none"]
    claim_output(tested, run)
    assert list(describe_predictions(segment, source, tested, "png"))[2:] == [
        "this run: 0 frames", "time: none",
    ]  # fmt: skip


def test_a_trial_that_fails_is_told(server, home):
    path = home / "D/a/frames/2.png"
    save(path, np.random.default_rng(0).integers(0, 256, (17, 31, 3)), format="jpeg")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : -2] = bytes(len(data) - len(data) // 2 - 2)
    path.write_bytes(data)
    said = dry(server, home, "wrp flow")
    assert "damaged" in said["time, memory, disk"] and "time" not in said


def test_a_dry_run_finds_the_mistakes_that_the_run_would_find(server, home):
    refused(server, home, "propagate.py", "--workdir is missing", "--dry-run", "--method=all")
    assert command(server, home, "propagate.py", "--method=static")[0] == 0
    refused(server, home, "propagate.py", "differs in methods", "--dry-run", "--method=motion-only")
