"""What an output remembers of its files: made from the same and as they were, or made again."""

import logging

import pytest

from wrp_jax.files.records import RECORDS_FILE, Records, fingerprint
from wrp_jax.files.shards import WHOLE, Shard
from wrp_jax.files.verify import verify
from wrp_jax.types import UserError


@pytest.fixture
def out(tmp_path):
    """An output with two recorded files."""
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    records = Records(out)
    for name in ("a/0.png", "a/1.png"):
        (out / name).write_text(name)
    records.add("inputs", [out / "a/0.png", out / "a/1.png"])
    records.save()
    return out


def test_kept_where_inputs_and_file_are_the_same(out, caplog):
    records = Records(out)
    assert records.is_current(out / "a/0.png", "inputs")
    assert not records.is_current(out / "a/2.png", "inputs")  # never written: nothing to tell
    records.tell()
    assert not caplog.records
    assert not records.is_current(out / "a/0.png", "others")
    records.tell()
    assert "made from has changed" in caplog.text and "a/0.png" in caplog.text


def test_what_a_killed_run_has_begun_is_told_as_such(out, caplog):
    (out / "a/2.png").write_text("not recorded yet")
    records = Records(out)
    assert not records.is_current(out / "a/2.png", "inputs")
    records.tell()
    assert "was stopped before it had finished" in caplog.text and "a/2.png" in caplog.text
    assert "has changed" not in caplog.text


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "link", "folder"])
def test_damage_is_told_and_verified(out, caplog, damage):
    path = out / "a/1.png"
    assert verify(out) == (2, [])
    if damage == "changed":
        path.write_text("A/1.png")
    elif damage == "cut":
        path.write_text("a/1")
    else:
        path.unlink()
    if damage == "link":
        path.symlink_to(out / "a/0.png")
    elif damage == "folder":
        path.mkdir()
    records = Records(out)
    assert records.is_current(out / "a/0.png", "inputs")
    assert not records.is_current(path, "inputs")
    records.tell()
    what = "is gone" if damage == "gone" else "was changed after it was written"
    assert caplog.messages == [f"{path} {what}: it is made again"]
    assert verify(out) == (2, [f"{path} {what}."])


def test_a_fault_is_named_for_each_of_few_files_only(tmp_path, caplog):
    records = Records(tmp_path)
    paths = [tmp_path / f"{i}.png" for i in range(9)]
    for path in paths:
        path.write_text("")
    records.add("inputs", paths)
    for path in paths:
        path.unlink()
        assert not records.is_current(path, "inputs")
    records.tell()
    assert len(caplog.messages) == 6 and caplog.messages[-1].startswith("4 more files")


def test_records_of_a_killed_run_are_kept_as_far_as_they_go(out):
    path = out / RECORDS_FILE
    path.write_bytes(path.read_bytes()[:-20])
    records = Records(out)
    assert records.is_current(out / "a/0.png", "inputs")
    assert not records.is_current(out / "a/1.png", "inputs")
    records.add("inputs", [out / "a/1.png"])
    records.save()
    assert verify(out) == (2, [])


def test_equal_outputs_have_equal_records_in_whatever_order_they_were_made(out, tmp_path):
    other = tmp_path / "other"
    (other / "a").mkdir(parents=True)
    records = Records(other)
    for name in ("a/1.png", "a/0.png"):
        (other / name).write_text("before")
        records.add("inputs", [other / name])
        (other / name).write_text(name)
        records.add("inputs", [other / name])
    records.save()
    assert (other / RECORDS_FILE).read_bytes() == (out / RECORDS_FILE).read_bytes()


def test_files_of_no_frame_go_and_those_of_others_stay(out, caplog):
    (out / "a/own.png").write_text("of the user")
    (out / "a/1.png").write_text("painted by the user")
    with caplog.at_level(logging.WARNING):
        records = Records(out)
        records.keep_only([])
        records.save()
    assert sorted(p.name for p in (out / "a").iterdir()) == ["1.png", "own.png"]
    assert "removed a/0.png: no part of the result" in caplog.text and "1.png" in caplog.text
    assert verify(out) == (0, [])


def test_folders_that_are_empty_then_go(out):
    records = Records(out)
    records.keep_only([])
    assert not (out / "a").exists() and out.exists()


def test_every_flipped_byte_of_the_records_is_noticed(out):
    path = out / RECORDS_FILE
    data = path.read_bytes()
    for place in range(len(data)):
        if data[place : place + 1] == b"\n" or b'"from": "inputs"'.find(data[place]) >= 0:
            continue
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert verify(out)[1] or not Records(out).is_current(out / "a/0.png", "inputs"), place


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", ""])
def test_records_lead_nowhere_else(out, tmp_path, name):
    (tmp_path / "x").write_text("")
    with (out / RECORDS_FILE).open("a") as file:
        file.write(f'{{"file": "{name}", "from": "", "sha256": ""}}\n')
    records = Records(out)
    records.keep_only([])
    assert (tmp_path / "x").exists()
    assert verify(out)[1]


def test_what_no_run_has_written_is_refused(tmp_path):
    with pytest.raises(UserError, match="no run has written it"):
        verify(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="an earlier version has written it"):
        verify(tmp_path)


def test_a_fingerprint_tells_parts_from_one_another():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


@pytest.mark.parametrize("writer", [WHOLE, Shard(0, 2)])
def test_what_a_killed_run_was_writing_was_changed_by_nobody_else(out, caplog, writer):
    paths = [out / "a/0.png", out / "a/1.png", out / "a/new.png"]
    writer.home(out).mkdir(parents=True, exist_ok=True)
    Records(out, writer).begin(paths)
    paths[0].write_text("half of a correction")
    paths[2].write_text("of a frame that is new")
    records = Records(out)
    assert list(records.changed(paths)) == []
    assert not records.is_current(paths[0], "inputs")
    records.tell()
    assert "was stopped before it had finished" in caplog.text
    records.add("inputs", paths[:1])
    paths[0].write_text("by hand")
    assert list(records.changed(paths)) == paths[:1]
