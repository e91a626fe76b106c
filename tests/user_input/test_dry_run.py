"""``--dry-run`` says what a run would do, and leaves no trace."""

import numpy as np
from small_folder import command, refused, save, tree

STATIC = (
    "--method=static",
    "--config.propagation.horizon=1",
    "--config.propagation.sides=nearest",  # a window around each labelled frame
)


def dry(server, home, *flags):
    before = tree(home)
    words = (*STATIC, *flags)
    code, out, error = command(server, home, "propagate.py", *words, "--dry-run")
    assert code == 0, error
    assert tree(home) == before
    return dict(line.split(": ", 1) for line in out.splitlines())


def test_a_dry_run_tells_what_is_to_be_done_and_what_was_done(server, home):
    for t in range(5, 9):  # frames that no labelled one reaches
        save(home / "D/a/frames" / f"{t}.png", np.zeros((17, 31, 3)))
    said = dry(server, home)
    assert said["windows"] == "2 in 1 sequences; labelled frames: 2"
    # 1 reaches 0 and 2; 3 reaches 4.
    assert said["frames to label"] == "3; out of reach of every window: 4 of 9"
    assert said["finished before"] == "0 windows"
    assert said["this run"] == "2 windows, 5 frames"
    assert said["time"].startswith("not known") and "--limit=1" in said["time"]
    assert said["memory"] and said["disk"].startswith("about ")

    assert dry(server, home, "--limit=1")["this run"] == "1 windows, 3 frames"
    words = (*STATIC, "--limit=1")
    assert command(server, home, "propagate.py", *words)[0] == 0
    said = dry(server, home)
    assert said["finished before"] == "1 windows" and said["this run"] == "1 windows, 2 frames"
    assert "per frame as the 1 finished windows took" in said["time"]
    assert "as the finished windows take" in said["disk"]
    save(home / "D/a/frames/0.png", np.zeros((17, 31, 3)))  # of the window that is finished
    assert dry(server, home)["finished before"] == "0 windows"


def test_a_dry_run_finds_the_mistakes_that_the_run_would_find(server, home):
    refused(server, home, "propagate.py", "--workdir is missing", "--dry-run", "--method=all")
    assert command(server, home, "propagate.py", "--method=static")[0] == 0
    refused(server, home, "propagate.py", "another methods", "--dry-run", "--method=motion-only")
