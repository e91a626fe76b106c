"""Whole commands on a bucket, which is a stand-in: see ``bucket``."""

import contextlib

import bucket
import pytest

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


@pytest.fixture
def gs(monkeypatch, tmp_path, folder):
    gs = bucket.stand_in(monkeypatch, tmp_path / "one")
    for path in filter(lambda path: path.is_file(), folder.rglob("*")):
        name = f"b/videos/{path.relative_to(folder)}"
        gs("gs").pipe_file(f"gs://{name}", path.read_bytes())
        gs.age(f"/{name}")
    return gs


def results(gs, output):
    """By name what lies there and does not say where it was made, as the report does."""
    found = {name.removeprefix(f"/b/{output}/"): gs.store[name].getvalue() for name in gs.names()}
    kinds = (".png", ".csv", "run.json", "metrics.json", ".array_record-00000-of-00001")
    return {name: found[name] for name in found if name[0] != "/" and name.endswith(kinds)}


def test_an_output_in_a_bucket(gs, wrp, monkeypatch, tmp_path, capsys):
    def label(machine, output, *more):
        monkeypatch.setenv("WRP_JAX_COPIES", str(tmp_path / machine))
        gs.writes.clear()
        words = ["--config=folder", "--data=gs://b/videos", "--method=static", *more]
        return wrp("propagate", *words, f"--output=gs://b/{output}")

    assert label("one", "out") == 0
    whole = results(gs, "out")
    assert {"run.json", "metrics.json", "a/labels/000000.png"} <= whole.keys()
    assert "/b/out/.records.jsonl" in gs.store and "/b/out/.lock" not in gs.store
    assert label("two", "out") == 0  # another machine: all is brought, and nothing made again
    assert not [name for name in gs.writes if name.endswith(".png")]
    assert wrp("propagate", "--verify", "--output=gs://b/out") == 0

    assert label("one", "parts", "--num_shards=2", "--shard_id=0") == 0
    assert "not finished yet: 1" in capsys.readouterr().err
    assert label("two", "parts", "--num_shards=2", "--shard_id=1") == 0
    assert results(gs, "parts") == whole
    assert not any(".shards" in name for name in gs.names())


def test_several_processes_are_told_to_mount_the_bucket(gs, wrp, monkeypatch, capsys):
    monkeypatch.setattr("wrp_jax.processes.joined", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr("jax.process_count", lambda: 2)
    words = ["--config=segment_folder", "--data=gs://b/videos", "--workdir=gs://b/runs/RUN"]
    assert wrp("train", *words) == 2
    said = capsys.readouterr().err
    assert "-limit=1000 b MOUNT)" in said and "--workdir=MOUNT/runs/RUN" in said
    assert not [name for name in gs.names() if name.startswith("/b/runs")]
