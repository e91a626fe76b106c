"""What the commands answer, in one place: each code with the event that it stands for.

0 done; 1 wrp doctor has found problems; 2 a mistake in input or options, nothing is written; 3 some
parts failed, the others are done; 4 interrupted, the same command goes on; 5 the machine.
"""

import errno
import json
import sys
from pathlib import Path

import pytest
from absl import flags
from PIL import Image
from small_folder import command, refused, tree

from wrp_jax import interrupts
from wrp_jax.cli import command_line
from wrp_jax.types import Interrupted, MachineError, UserError


def raises(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "code", "said"),
    [
        (lambda: None, 0, ""),
        (raises(UserError("a.png is damaged.")), 2, "a.png is damaged."),
        (lambda: 3, 3, ""),
        (raises(Interrupted("stopped by SIGTERM")), 4, "run the same command to go on."),
        (raises(KeyboardInterrupt()), 4, "interrupted; run the same command to go on."),
        (raises(MachineError("OUT was removed.")), 5, "OUT was removed."),
        (raises(OSError(errno.ENOSPC, "No space left on device")), 5, "free some space"),
        (raises(MemoryError()), 5, "too little memory"),
    ],
)
def test_what_ends_a_command_decides_its_code(monkeypatch, capsys, main, code, said):
    monkeypatch.setattr(sys, "argv", ["program"])
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    assert command_line.run(main) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == (1 if said else 0)


def test_the_codes_are_those_that_are_documented():
    codes = {
        "1": command_line.EXIT_FOUND,
        "2": command_line.EXIT_USER_ERROR,
        "3": command_line.EXIT_FAILED,
        "4": interrupts.EXIT_CODE,
        "5": command_line.EXIT_MACHINE,
    }
    assert all(number == str(code) for number, code in codes.items())
    text = (Path(__file__).parents[2] / "docs/RELIABILITY.md").read_text()
    for code in (0, *codes):
        assert f"\n| {code} |" in text
        assert f"{code} " in (command_line.__doc__ or "")


def spoil(home):
    """Frame 2 as a JPEG whose header and end are right, and whose middle is not."""
    png = home / "D/a/frames/2.png"
    Image.open(png).save(png.with_suffix(".jpg"))
    png.unlink()
    content = bytearray(png.with_suffix(".jpg").read_bytes())
    place = content.index(b"\xff\xda") + 40
    content[place : place + 2] = b"\xff\xd8"
    png.with_suffix(".jpg").write_bytes(content)


def entries(home, output):
    return [json.loads(line) for line in (home / output / "failures.jsonl").read_text().split("\n")
            if line]  # fmt: skip


def test_a_damaged_frame_through_the_commands(server, home):
    """Propagate leaves out the window, flow the sequence; ``--fail-fast`` ends at once."""
    spoil(home)
    static = ("--method=static", "--config.propagation.horizon=1")
    code, _, error = command(server, home, "propagate.py", *static)
    assert code == 3 and "1 failed, the others are done; OUT/failures.jsonl lists them" in error
    (entry,) = entries(home, "OUT")
    assert (entry["sequence"], entry["labelled"], entry["frame"]) == ("a", "1 and 3", "2")
    # The frames on the outer sides of 1 and 3 are labelled from one of them alone.
    assert {p.stem for p in (home / "OUT/a/labels").iterdir()} >= {"0", "4"}
    assert not (home / "OUT/a/labels/2.png").exists() and (home / "OUT/report.html").is_file()

    code, _, error = command(server, home, "propagate.py", *static, "--fail-fast", "--output=FAST")
    assert code == 2 and "2.jpg is damaged or cut off" in error
    assert not (home / "FAST/failures.jsonl").exists()

    code, _, error = command(server, home, "wrp flow", "--output=FLOW")
    assert code == 3 and "FLOW/failures.jsonl lists them" in error
    (entry,) = entries(home, "FLOW")
    assert entry["sequence"] == "a" and "2.jpg is damaged" in entry["reason"]


def test_what_can_be_told_before_is_refused_before(server, home):
    refused(server, home, "propagate.py", "--limit=0: 0 is not a positive integer", "--limit=0")


def test_the_limit_through_the_command(server, home):
    flags_ = ("--method=static", "--limit=1")
    code, _, error = command(server, home, "propagate.py", *flags_)
    assert code == 0 and "2 of 3 windows are missing: 2 not labelled yet" in error
    assert not (home / "OUT/a/labels/3.png").exists()
    code, _, error = command(server, home, "propagate.py", "--method=static")
    assert code == 0 and "missing" not in error
    assert len([p for p in tree(home / "OUT") if p.parent.name == "labels"]) == 5
