"""Copies of what lies in a bucket; the bucket is a stand-in, see ``bucket``."""

import contextlib
import os
import time
from pathlib import Path

import bucket
import pytest

from wrp_jax import interrupts
from wrp_jax.files import copies
from wrp_jax.files.copies import Copies, Copy, copies_of_addresses, local_copy
from wrp_jax.files.lock import sole_writer
from wrp_jax.files.output import check_apart, check_output
from wrp_jax.types import Interrupted, MachineError, UserError


@pytest.fixture
def gs(monkeypatch, tmp_path):
    return bucket.stand_in(monkeypatch, tmp_path / "copies")


def put(gs, name, data=b"1"):
    from etils import epath

    epath.Path(f"gs://{name}").write_bytes(data)
    gs.age(f"/{name}")
    gs.writes.clear()


def brought(gs):
    found = sorted(gs.reads)
    gs.reads.clear()
    return found


def test_only_what_has_changed_comes_again(gs):
    put(gs, "b/d/classes.json", b"{}")
    put(gs, "b/d/a/frames/0.png", b"zero")
    put(gs, "b/d/a/frames/1.png", b"one")
    put(gs, "b/d/b/frames/0.png", b"zero")
    copy = Copy("gs://b/d", written=False)
    copy.fetch()
    assert copy.path.name == "d"  # the name of a sequence may be that of its folder
    assert (copy.path / "a/frames/1.png").read_bytes() == b"one"
    assert len(brought(gs)) == 4
    before = os.stat(copy.path / "a/frames/0.png").st_ino
    put(gs, "b/d/a/frames/1.png", b"two")
    gs.age("/b/d/a/frames/1.png", 30)  # of the same length, but written later
    put(gs, "b/d/a/frames/2.png", b"2")
    del gs.store["/b/d/classes.json"], gs.store["/b/d/b/frames/0.png"]
    (copy.path / "stray").write_bytes(b"of a killed run")
    Copy("gs://b/d", written=False).fetch()
    assert brought(gs) == ["/b/d/a/frames/1.png", "/b/d/a/frames/2.png"]
    assert (copy.path / "a/frames/1.png").read_bytes() == b"two"
    assert os.stat(copy.path / "a/frames/0.png").st_ino == before
    assert sorted(p.name for p in copy.path.iterdir()) == ["a"]


def test_what_was_written_just_now_comes_again(gs):
    put(gs, "b/d/x")
    gs.age("/b/d/x", 0)
    Copy("gs://b/d", written=False).fetch()
    brought(gs)
    Copy("gs://b/d", written=False).fetch()
    assert brought(gs) == ["/b/d/x"]


def test_a_damaged_copy_of_an_input_comes_again(gs):
    put(gs, "b/d/x", b"right")
    copy = Copy("gs://b/d", written=False)
    copy.fetch()
    (copy.path / "x").write_bytes(b"wrong")
    copy.fetch()
    assert (copy.path / "x").read_bytes() == b"right"


def test_whose_a_folder_is_goes_first_and_records_last(gs, monkeypatch):
    monkeypatch.setattr(copies, "_THREADS", 1)
    copy = Copy("gs://b/out", written=True)
    copy.fetch(may_be_missing=True)
    for name in (".records.jsonl", "a/0.png", "run.json", ".lock", ".wrp-0123456789abcdef.tmp"):
        (copy.path / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.path / name).write_bytes(b"x")
    (copy.path / "7.orbax-checkpoint-tmp-1").mkdir()
    (copy.path / "7.orbax-checkpoint-tmp-1" / "part").write_bytes(b"x")
    copy.send()
    assert gs.writes == ["/b/out/run.json", "/b/out/a/0.png", "/b/out/.records.jsonl"]
    copy.send()
    assert copy.sent == 3


def test_unsent_work_of_a_killed_run_stays_and_is_sent(gs):
    put(gs, "b/out/run.json", b"{}")
    put(gs, "b/out/a/0.png", b"old")
    copy = Copy("gs://b/out", written=True)
    copy.fetch()
    (copy.path / "a/0.png").write_bytes(b"newer")
    (copy.path / "a/1.png").write_bytes(b"new")
    again = Copy("gs://b/out", written=True)
    again.fetch()
    assert (copy.path / "a/0.png").read_bytes() == b"newer"
    again.send()
    assert again.sent == 2
    assert gs.store["/b/out/a/0.png"].getvalue() == b"newer"


def test_what_others_have_sent_meanwhile_is_left_alone(gs):
    put(gs, "b/out/run.json", b"{}")
    copy = Copy("gs://b/out", written=True)
    copy.fetch()
    put(gs, "b/out/.shards/1-of-2/.records.jsonl", b"other")
    (copy.path / "a.png").write_bytes(b"mine")
    copy.send(remove=True)
    assert gs.names() == ["/b/out/.shards/1-of-2/.records.jsonl", "/b/out/a.png", "/b/out/run.json"]


def test_only_a_command_that_ended_well_removes_there(gs):
    put(gs, "b/out/run.json", b"{}")
    put(gs, "b/out/.shards/job.json", b"{}")
    with pytest.raises(ZeroDivisionError), copies_of_addresses():
        out = local_copy("gs://b/out", "--output", written=True)
        os.unlink(f"{out}/.shards/job.json")
        raise ZeroDivisionError
    assert "/b/out/.shards/job.json" in gs.store
    with copies_of_addresses():
        out = local_copy("gs://b/out", "--output", written=True)
        os.unlink(f"{out}/.shards/job.json")  # it has come again
    assert gs.names() == ["/b/out/run.json"]


def test_an_output_that_somebody_removes_is_not_removed_there(gs):
    put(gs, "b/out/run.json", b"{}")
    copy = Copy("gs://b/out", written=True)
    copy.fetch()
    (copy.path / "run.json").unlink()
    copy.send(remove=True)
    assert gs.names() == ["/b/out/run.json"]
    copy.fetch()
    assert (copy.path / "run.json").exists()


def test_results_are_sent_while_the_command_works(gs, monkeypatch):
    monkeypatch.setattr(copies, "SECONDS", 0.01)
    with copies_of_addresses():
        out = local_copy("gs://b/out", "--output", written=True)
        os.makedirs(out)
        with open(f"{out}/0.png", "wb") as file:
            file.write(b"x")
        deadline = time.monotonic() + 20
        while "/b/out/0.png" not in gs.store and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "/b/out/0.png" in gs.store


def test_values_of_flags(gs):
    put(gs, "b/sets/camvid/x/1.0.0/dataset_info.json", b"{}")
    put(gs, "b/sets/other/1.0.0/dataset_info.json", b"{}")
    put(gs, "b/list.txt", b"a 1 0 2")
    all_of_them = Copies()
    spec = all_of_them.local("tfds:camvid/x:train[:2]@gs://b/sets/", "--data")
    folder = spec.removeprefix("tfds:camvid/x:train[:2]@")
    assert os.path.exists(f"{folder}/camvid/x/1.0.0/dataset_info.json")
    assert not os.path.exists(f"{folder}/other")  # one data set of many
    stills = all_of_them.local("gs://b/sets/other:gs://b/list.txt", "--stills")
    root, _, file = stills.partition(":")
    assert os.path.exists(f"{root}/1.0.0/dataset_info.json")
    with open(file) as opened:
        assert opened.read() == "a 1 0 2"
    for plain in ("runs/a", "synthetic:clips=2", "C:/runs", "root:/list"):
        assert all_of_them.local(plain, "--data") == plain


def test_what_lies_beside_a_file_comes_with_it_and_goes_again(gs):
    put(gs, "b/labels/10.png", b"png")
    put(gs, "b/labels/20.png", b"another")
    put(gs, "b/labels/classes.json", b"{}")
    label = Path(Copies().local("gs://b/labels/10.png", "--label", beside="classes.json"))
    assert {path.name: path.read_bytes() for path in label.parent.iterdir()} == {
        "10.png": b"png", "classes.json": b"{}",
    }  # fmt: skip
    del gs.store["/b/labels/classes.json"]
    frame, _, again = Copies().local("7:gs://b/labels/10.png", "--label", beside="x").partition(":")
    assert (frame, Path(again)) == ("7", label) and label.with_name("classes.json").exists()
    Copies().local("gs://b/labels/10.png", "--label", beside="classes.json")
    assert [path.name for path in label.parent.iterdir()] == ["10.png"]


def test_two_data_sets_at_one_address(gs):
    for name in ("one", "two"):
        put(gs, f"b/sets/{name}/1.0.0/dataset_info.json", b"{}")
    both = Copies()
    for name in ("one", "two"):
        folder = both.local(f"tfds:{name}:train@gs://b/sets", "--data").partition("@")[2]
        assert [path.name for path in Path(folder).iterdir()] == [name]


def test_addresses_in_one_another_are_told_as_folders_are(gs):
    put(gs, "b/d/classes.json", b"{}")
    with copies_of_addresses():
        data, inside, run = (
            Path(local_copy(f"gs://b/{name}", "--output", written=name != "d"))
            for name in ("d", "d/out", "d/out/run")
        )
        with pytest.raises(UserError, match="gs://b/d/out lies inside the input gs://b/d:"):
            check_output(inside, data)
        check_output(Path(local_copy("gs://b/d2", "--output", written=True)), data)
        with pytest.raises(UserError, match="output=gs://b/d/out and --workdir=gs://b/d/out/run"):
            check_apart(inside, run)


def test_mistakes(gs, monkeypatch):
    with pytest.raises(UserError, match="there is nothing at gs://b/none: correct the address"):
        local_copy("gs://b/none", "--data")
    with pytest.raises(UserError, match=r"--data=https://x/y is an address \(https://\)"):
        local_copy("https://x/y", "--data")
    monkeypatch.setattr(bucket.Bucket, "refuses", "out")
    copy = Copy("gs://b/out", written=True)
    copy.path.mkdir(parents=True)
    (copy.path / "a").write_bytes(b"x")
    with pytest.raises(MachineError, match=r"gs://b/out/a does not answer \(the line is down\)"):
        copy.send()
    assert (copy.path / "a").exists()


def test_a_store_without_its_package_is_one_sentence(gs, monkeypatch):
    def missing(self, path):
        raise ImportError("Please install gcsfs")

    from etils.epath import backend

    monkeypatch.setattr(type(backend.fsspec_backend), "fs", missing)
    with pytest.raises(UserError, match=r'gs://b/d needs a package.*pip install -e "\.\[gcs\]"'):
        Copy("gs://b/d", written=False).fetch()


def test_who_waits_for_another_process_can_be_stopped(gs, monkeypatch):
    put(gs, "b/d/x")
    copy = Copy("gs://b/d", written=False)
    place = copy.path.parents[1] / "state"
    with interrupts.listening(), sole_writer(place, copies.PLACE):
        monkeypatch.setattr(copies.time, "sleep", lambda _: interrupts.request("stopped by SIGINT"))
        with pytest.raises(Interrupted, match="stopped by SIGINT"):
            copy.fetch()
    assert not brought(gs)
    # What is left is sent all the same, as soon as the other one is done.
    with interrupts.listening():
        interrupts.request("stopped by SIGINT")
        copy = Copy("gs://b/d", written=True)
        (copy.path).mkdir(parents=True, exist_ok=True)
        (copy.path / "y").write_bytes(b"y")
        with contextlib.ExitStack() as stack:
            stack.enter_context(sole_writer(place, copies.PLACE))
            monkeypatch.setattr(copies.time, "sleep", lambda _: stack.close())
            copy.send()
    assert gs.writes == ["/b/d/y"]
