"""Processes that share an output: who is kept out, and what each remembers for all."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wrp_jax.files import lock, shards
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.failures import FAILURES_FILE, Failures
from wrp_jax.files.lock import merging_writer, sole_writer
from wrp_jax.files.records import RECORDS_FILE, Records
from wrp_jax.files.shards import (
    Shard,
    read_job,
    remove_shards,
    shard_homes,
    shard_writer,
    work_in_shards,
)
from wrp_jax.files.verify import verify
from wrp_jax.types import UserError

ROOT = Path(__file__).parents[2]
JOB = {"data": "D", "plan": "p", "command": {}}
HOLDER = """
import json, pathlib, sys
from wrp_jax.files.shards import Shard, shard_writer
out, index, count, job = pathlib.Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
with shard_writer(out, Shard(index, count), job, lambda: None, lambda: True):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_PATIENCE", 0.1)
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)
    return tmp_path / "out"


@pytest.fixture
def holder(out):
    """Another process that is at work on shard 1 of 3."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out), "1", "3", json.dumps(JOB)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def shard(out, index=0, count=3, begin=lambda: None, check=lambda: True, **job):
    return shard_writer(out, Shard(index, count), {**JOB, **job}, begin, check)


def test_others_are_let_in_and_those_who_are_none_kept_out(holder, out):
    for index in (0, 2):
        with shard(out, index):
            write_atomically(out / "a" / "1.png", b"1")
            assert [home.name for home in shard_homes(out)] == [f"{i}-of-3" for i in {0, 1, index}]
    for refused, said in (
        (shard(out, 1), "--shard_id=1 of --output=.*out is being made by another process"),
        (shard(out, 0, count=2), "is being written in 3 shards, not in 2: give the same"),
        (shard(out, 0, plan="q"), "shards that have found other frames, labels or lists"),
        (shard(out, 0, data="E"), "holds unfinished shards of --data=D, not of E"),
        (sole_writer(out, "--output"), "is being written by another run"),
        (merging_writer(out, "--output"), "is being written by another run"),
    ):
        with pytest.raises(UserError, match=said), refused:
            pass
    assert (out / lock.LOCK_FILE).exists()  # the other one holds it


def test_once_nobody_is_at_work_other_shards_begin_with_what_there_is(holder, out):
    holder.kill()
    holder.communicate()
    with shard(out, 0, count=2, plan="q"):
        assert [home.name for home in shard_homes(out)] == ["0-of-2", "1-of-3"]
    with pytest.raises(UserError, match="--data=D, not of E"), shard(out, 0, data="E"):
        pass
    with sole_writer(out, "--output"):
        remove_shards(out)
    assert list(out.iterdir()) == []
    with shard(out, 0, data="E"):
        assert read_job(out)["data"] == "E"


def test_a_job_is_begun_once(out):
    begun = []
    for index in (0, 1):
        with shard(out, index, begin=lambda: begun.append(1), check=lambda: bool(begun)):
            assert begun == [1]


def test_whoever_comes_while_others_merge_waits_for_them(out):
    order = []

    def late():
        with shard(out, 0):
            order.append("late")

    with merging_writer(out, "--output"):
        thread = threading.Thread(target=late)
        thread.start()
        thread.join(3 * lock._PATIENCE)
        order.append("merged")
    thread.join()
    assert order == ["merged", "late"]


def test_a_merge_leaves_half_written_files_to_who_knows_that_none_is_at_work(out):
    half = out / ".wrp-0123456789abcdef.tmp"
    with shard(out, 0):
        half.touch()
    with merging_writer(out, "--output"):
        assert half.exists()


def records_of(out, index, count):
    shard = Shard(index, count)
    shard.home(out).mkdir(parents=True, exist_ok=True)
    return Records(out, shard)


def test_a_run_without_shards_keeps_them_out(out):
    said = "--output=.*out is being written by another run"
    with sole_writer(out, "--output"):
        for path in (None, out / ".shards/job.json"):
            if path:
                path.parent.mkdir()
                path.write_text(json.dumps({"num_shards": 3, **JOB}))
            with pytest.raises(UserError, match=said), shard(out, 0):
                pass
        remove_shards(out)


def test_what_a_killed_merge_has_said_is_forgotten(holder, out):
    (out / lock.LOCK_FILE).write_bytes(b"merging")
    with shard(out, 0):
        pass
    with pytest.raises(UserError, match="in 3 shards, not in 2"), shard(out, 0, count=2):
        pass


def test_a_merge_waits_for_the_last_one_to_end(holder, out):
    """``work_in_shards`` of one shard of three, the others of which have nothing to do."""
    asked = (out, Shard(0, 3), JOB, lambda: None, lambda: True, lambda: None)
    assert work_in_shards(*asked, lambda: (), lambda: "merged") is None
    holder.kill()
    holder.communicate()
    assert work_in_shards(*asked, lambda: (1,), lambda: "merged") is None
    assert shard_homes(out)
    assert work_in_shards(*asked, lambda: (), lambda: "merged") == "merged"
    assert list(out.iterdir()) == []


def write(out, records, made_from, *names):
    for name in names:
        write_atomically(out / name, f"{name} {made_from}".encode())
    records.add(made_from, [out / name for name in names])


def test_each_writes_records_of_its_own_and_reads_those_of_all(out):
    write(out, Records(out), "m", "a", "b")
    first, second = records_of(out, 0, 2), records_of(out, 1, 2)
    write(out, first, "m", "c")
    write(out, second, "n", "b", "d")  # b anew
    for records in (first, second):
        records.save()
    lines = (Shard(1, 2).home(out) / RECORDS_FILE).read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["b", "d"]
    third = Records(out, Shard(0, 3))
    for name, made_from in (("a", "m"), ("b", "n"), ("c", "m"), ("d", "n")):
        assert third.is_current(out / name, made_from), name
    assert not third.is_current(out / "b", "m") and verify(out) == (4, [])
    Records(out).save()
    remove_shards(out)
    assert verify(out) == (4, [])


def test_the_record_that_fits_the_file_counts(out):
    """After a split into other shards, who wrote a file last is not told by the records' order."""
    for index, made_from in ((1, "m"), (0, "n"), (2, "o")):
        write(out, records_of(out, index, 3), made_from, "a")
        found = Records(out)
        assert [found.is_current(out / "a", mark) for mark in "mno"] == [
            made_from == mark for mark in "mno"
        ]


def test_a_shard_leaves_folders_to_who_merges(out):
    records = records_of(out, 0, 2)
    write(out, records, "m", "a/1", "b/1")
    records.remove([out / "a/1"])
    assert (out / "a").is_dir() and not (out / "a/1").exists()
    whole = Records(out)
    whole.remove([out / "a/1"])
    assert not (out / "a").exists()


def test_failures_of_shards_are_those_of_the_whole_and_in_order(out):
    parts = [{"sequence": name, "labelled": "1"} for name in "abcd"]
    for index in (1, 0):
        failures = Failures(out, Shard(index, 2))
        for part in reversed(parts[index::2]):
            with failures.of(**part):
                raise UserError("damaged")
    whole = Failures(out)
    assert len(whole) == 4 and len(Failures(out, Shard(0, 2))) == 2
    whole.succeeded(**parts[1])
    whole.keep_only(parts)
    remove_shards(out)
    listed = [json.loads(line) for line in (out / FAILURES_FILE).read_text().splitlines()]
    assert [entry["sequence"] for entry in listed] == ["a", "c", "d"]
    assert parts[0] in whole and parts[1] not in whole


@pytest.mark.parametrize("text", ["", "{", "[]", '{"data": 1}'])
def test_a_job_that_is_damaged_is_written_anew(out, text):
    with shard(out, 0):
        pass
    path = out / ".shards/job.json"
    before = path.read_text()
    path.write_text(text)
    with shard(out, 1):
        assert path.read_text() == before
