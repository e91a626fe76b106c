"""Shards of a labelling: what each opens and does, and what is left once they are merged."""

import dataclasses
import json

import pytest
from contents import contents
from PIL import Image

from wrp_jax.cli import propagate as command
from wrp_jax.data.folder import FolderSource
from wrp_jax.files.shards import WHOLE, Shard, shard_homes
from wrp_jax.files.verify import verify
from wrp_jax.labelling.merging import job_of, stored_command, unfinished
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.types import Interrupted, UserError

LENGTHS = {"a": 6, "b": 4, "c": 4, "d": 3}


@pytest.fixture
def root(make_folder):
    return make_folder(LENGTHS, labelled=lambda sequence, t: t in (1, 3))


@pytest.mark.parametrize("order", [(0, 1), (6, 5, 0, 3, 1, 2, 4)], ids=len)
def test_merged_shards_are_what_one_process_leaves(label, tmp_path, order):
    whole = label("whole")
    made = []
    for index in order:
        metrics = label("out", index, len(order))
        made += label.made
        # Shards without a sequence are not waited for.
        assert metrics == (whole if len(made) == whole["windows"] else {})
    assert len(made) == len(set(made)) == whole["windows"]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    for index in order[:2]:  # once more: nothing is labelled, and nothing is another
        label("out", index, len(order))
        assert not label.made
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_shard_opens_its_own_frames_alone(root, label, config, tmp_path, monkeypatch):
    opened = set()
    for name in ("frame_size", "frame", "label"):
        original = getattr(FolderSource, name)

        def noted(self, sequence, name, original=original):
            opened.add(sequence)
            return original(self, sequence, name)

        monkeypatch.setattr(FolderSource, name, noted)
    plans = []
    for index in range(2):
        opened.clear()
        request = Request(str(root), tmp_path / "out", "static", shard=Shard(index, 2))
        plans.append(make_plan(config, request))
        assert opened == {job.window.sequence for job in plans[-1].own}
        label("out", index, 2, limit=1)
        assert opened == {job.window.sequence for job in plans[-1].own}
    assert plans[0].digest == plans[1].digest and plans[0].parts == plans[1].parts
    assert plans[0].settings("") == plans[1].settings("")


@pytest.mark.parametrize("then", [(0, 3), (2, 3), (0, 1)])
def test_a_run_of_other_shards_goes_on_from_what_is_there(label, tmp_path, then):
    label("whole")
    label("out", 1, 2)
    before = set(label.made)
    made = [*before]
    for index in {then[0], *range(then[1])}:
        label("out", index, then[1])
        made += label.made
    assert before and len(made) == len(set(made)) and not shard_homes(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_shard_with_a_limit_goes_on_later(label, tmp_path):
    for limit in (1, 9):
        for index in range(2):
            metrics = label("out", index, 2, limit=limit)
        assert bool(shard_homes(tmp_path / "out")) != (limit == 9)
    assert metrics == label("whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_failures_of_all_shards_are_listed_in_the_end(label, root, tmp_path):
    for sequence in "ad":
        (root / sequence / "frames/002.png").unlink()
        picture = Image.new("RGB", (32, 24), (9, 9, 9))
        picture.save(root / sequence / "frames/002.jpg")
        content = bytearray((root / sequence / "frames/002.jpg").read_bytes())
        content[-30:-28] = b"\xff\xd8"  # found on decoding alone
        (root / sequence / "frames/002.jpg").write_bytes(content)
    whole = label("whole")
    assert whole["missing"]["failed"] >= 2
    for index in (1, 2, 0):
        metrics = label("out", index, 3)
    assert metrics == whole and verify(tmp_path / "out")[1] == []
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    for sequence in "ad":  # mended
        (root / sequence / "frames/002.jpg").unlink()
        Image.new("RGB", (32, 24)).save(root / sequence / "frames/002.png")
    for index in range(3):
        metrics = label("out", index, 3)
    assert metrics == label("whole") and metrics["missing"]["failed"] == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_frames_that_change_between_two_shards_are_noticed(label, root, tmp_path):
    label("out", 0, 2)
    shown = next(iter(sorted((tmp_path / "out").glob("[a-d]")))).name
    Image.new("RGB", (32, 24)).save(root / shown / "frames/000.png")
    with pytest.raises(UserError, match=r"1 of 2 shards is not finished: .*--shard_id=0 again"):
        label("out", 1, 2)
    assert not (tmp_path / "out/metrics.json").exists()
    metrics = label("out", 0, 2)
    assert len(label.made) == 1
    assert metrics == label("whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def stopped(*arguments):
    raise Interrupted("stopped by SIGTERM")


def test_merging_by_hand(label, root, config, tmp_path, monkeypatch):
    label("whole")
    out = tmp_path / "out"
    with pytest.raises(UserError, match="holds no shards to merge"):
        command.merge_shards(out)
    label("out", 1, 2)
    before = contents(out)
    with pytest.raises(UserError, match=r"1 of 2 shards is not finished: .*--shard_id=0 again"):
        command.merge_shards(out)
    assert contents(out) == before
    with monkeypatch.context() as patch:
        patch.setattr("wrp_jax.labelling.merging.finish", stopped)
        with pytest.raises(Interrupted):
            label("out", 0, 2)
    assert shard_homes(out)
    metrics = command.merge_shards(out)
    assert metrics["windows"] and contents(out) == contents(tmp_path / "whole")


def test_the_command_is_read_back_as_it_was_given(root, config, tmp_path):
    config.propagation.horizon = 3
    config.segmentation.sampling.crop = (16, 24)
    lists = {"horizon": 2, "keyframes": str(tmp_path / "keys.txt")}
    (tmp_path / "keys.txt").write_text("a 001\n")
    request = Request(str(root), tmp_path / "out", "static", **lists, shard=Shard(0, 4))
    plan = make_plan(config, request)
    (tmp_path / "out/.shards").mkdir(parents=True)
    job = {"num_shards": 4, **job_of(plan, request, tmp_path / "RUN")}
    path = tmp_path / "out/.shards/job.json"
    path.write_text(json.dumps(job))
    stored = stored_command(tmp_path / "out")
    assert stored.config == config and stored.request == request
    assert stored.workdir == tmp_path / "RUN"
    assert make_plan(stored.config, stored.request).digest == plan.digest
    # As many lists as there are shards would fill the memory.
    for damage in ({"command": {"folder": "x"}}, {"num_shards": 0}, {"num_shards": 10**9}):
        path.write_text(json.dumps({**job, **damage}))
        with pytest.raises(UserError, match=r"job\.json is damaged"):
            stored_command(tmp_path / "out")


def test_a_shard_that_has_not_come_to_its_end_is_unfinished(label, root, config, tmp_path):
    request = Request(str(root), tmp_path / "out", "static", shard=Shard(0, 3))
    plan = make_plan(config, request)
    assert unfinished(plan) == (0, 1, 2)
    label("out", 1, 3)
    label("out", 2, 3, limit=1)
    assert unfinished(plan) == (0, 2)
    assert unfinished(dataclasses.replace(plan, shard=WHOLE)) == (0,)


def test_shards_train_nothing(label, config, root, tmp_path):
    request = Request(str(root), tmp_path / "out", "semantic-only", shard=Shard(0, 2))
    with pytest.raises(UserError, match="--workdir is missing: shards read what wrp train made"):
        command.propagate(config, request, workdir=None, train=True)
    assert not (tmp_path / "out").exists()
