import os
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from wrp_jax.runs import checkpoints, results
from wrp_jax.runs.checkpoints import Checkpoints
from wrp_jax.runs.compatibility import check_metadata
from wrp_jax.runs.manifest import describe_own, is_what_was_written, merge
from wrp_jax.runs.results import load_result, result_path, save_result
from wrp_jax.sharding import make_mesh
from wrp_jax.types import UserError

COLUMNS = NamedSharding(make_mesh(), PartitionSpec(None, "part"))
METADATA = {
    "classes": {"classes": [{"id": 0, "name": "sky"}, {"id": 7, "name": "road"}]},
    "fingerprint": "ab" * 32,
    "config": {"seed": 0, "refiner": {"steps": 5, "crop": [1, 2]}},
}


def state(step):
    return {
        "params": {"layer 1/conv": jnp.arange(6.0).reshape(2, 3) + step, "b": jnp.ones(3)},
        # Large enough for a file of its own: Orbax checks small leaves, but not these.
        "large": jax.random.normal(jax.random.key(step), (64, 64)),
        # On eight devices, a part on each.
        "split": jax.device_put(jnp.arange(4096.0).reshape(64, 64) - step, COLUMNS),
        "half": jnp.full((2,), step, jnp.bfloat16),
        "count": jnp.int32(step),
        "empty": jnp.zeros((0, 4)),
        "pair": (np.float64(0.5), np.arange(3, dtype=np.int8)),
    }


def assert_same(tree, other):
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with steps 3 and 6."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints" / "toy"
    checkpoints = Checkpoints(folder, METADATA)
    for step in (3, 6):
        checkpoints.save(step, state(step), {"batches": {"next_index": step}})
    checkpoints.close()
    return folder


def restore(folder, template=None, metadata=METADATA):
    checkpoints = Checkpoints(folder, metadata)
    try:
        return checkpoints.restore(state(0) if template is None else template)
    finally:
        checkpoints.close()


def test_gives_back_what_was_saved(saved):
    restored = restore(saved)
    assert restored.step == 6
    assert restored.host_state == {"batches": {"next_index": 6}}
    assert_same(restored.state, state(6))


def test_nothing_saved_is_none(tmp_path):
    assert restore(tmp_path / "new") is None


@pytest.mark.parametrize("split", [False, True])
def test_a_state_may_be_donated_while_it_is_written(tmp_path, split):
    add = jax.jit(lambda x: x + 1, donate_argnums=0)
    value = jax.device_put(jnp.zeros((304, 304)), COLUMNS if split else jax.devices()[0])
    checkpoints = Checkpoints(tmp_path, {})
    for step in range(4):
        checkpoints.save(step, {"x": value}, {})
        for _ in range(10):
            value = add(value)
    checkpoints.close()
    restored = restore(tmp_path, {"x": value}, {})
    np.testing.assert_array_equal(restored.state["x"], 30.0)


def test_keeps_the_newest(tmp_path):
    checkpoints = Checkpoints(tmp_path, METADATA, keep=2)
    for step in range(5):
        checkpoints.save(step, {"x": jnp.ones(2)}, {})
    checkpoints.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]


def damage(path, kind, rng):
    content = bytearray(path.read_bytes())
    if kind == "delete":
        path.unlink()
        return
    if kind == "flip" and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "truncate":
        del content[rng.randrange(len(content) + 1) :]
    elif kind == "garbage":
        content = rng.randbytes(len(content))
    path.write_bytes(bytes(content))


# When one array cannot be read, Orbax closes its event loop under the reads of the others.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["flip", "truncate", "garbage", "delete"])
def test_damage_to_any_file_is_never_silently_wrong(saved, tmp_path, kind, capsys):
    rng = random.Random(kind)
    files = sorted(p.relative_to(saved) for p in (saved / "6").rglob("*") if p.is_file())
    assert {str(file) for file in files} >= {"6/manifest/metadata", "6/state/_METADATA"}
    found = 0
    for file in files:
        large = (saved / file).stat().st_size > 10_000
        for attempt in range((6 if large else 2) if kind == "flip" else 1):
            folder = tmp_path / f"{file.name}-{file.parent.name}-{attempt}" / "toy"
            shutil.copytree(saved, folder)
            damage(folder / file, kind, rng)
            restored = restore(folder)
            assert_same(restored.state, state(restored.step))
            if restored.step == 3:
                message = "".join(
                    line
                    for line in capsys.readouterr().err.splitlines(keepends=True)
                    if line.startswith(str(folder))
                )
                # A step that Orbax no longer counts as complete is passed over by Orbax.
                found += message.count("going on from step 3") == 1 and "/6 is damaged" in message
                assert message.count("\n") <= 1
                assert restore(folder).step == 3
            shutil.rmtree(folder.parent)
    assert found >= 2


def test_every_part_has_its_digest():
    leaf = state(1)["split"]
    described = describe_own(leaf)
    assert len(described["parts"]) == jax.device_count() and "0:64,0:8" in described["parts"]
    value = np.array(leaf)
    assert is_what_was_written(value, described)
    for column in range(0, 64, 8):
        changed = value.copy()
        changed.view(np.uint8)[column, 4 * column] ^= 1
        assert not is_what_was_written(changed, described)
    assert not is_what_was_written(value.astype(np.float64), described)


def test_parts_of_several_processes_make_a_whole():
    leaf = state(1)["split"]
    whole = {"a": describe_own(leaf), "b": describe_own(np.ones(2))}
    halves = [dict(list(whole["a"]["parts"].items())[i::2]) for i in range(2)]
    own = [{**whole, "a": {**whole["a"], "parts": parts}} for parts in halves]
    assert merge(own) == whole
    assert not is_what_was_written(np.asarray(leaf), own[0]["a"]), "the other half is missing"


def test_the_number_of_a_damaged_step_can_be_used_again(saved, tmp_path):
    folder = tmp_path / "checkpoints" / "toy"
    shutil.copytree(saved, folder)
    (folder / "6/manifest/metadata").write_text("{}")
    checkpoints = Checkpoints(folder, METADATA)
    assert checkpoints.restore(state(0)).step == 3
    checkpoints.save(6, state(66), {})
    checkpoints.close()
    assert_same(restore(folder).state, state(66))
    assert [path.name.startswith("toy-6-") for path in (folder.parent / "damaged").iterdir()] == [
        True
    ]


def test_nothing_intact_is_one_sentence(saved, tmp_path):
    folder = tmp_path / "toy"
    shutil.copytree(saved, folder)
    for step in ("3", "6"):
        (folder / step / "manifest/metadata").write_text("{}")
    with pytest.raises(UserError, match=r"no checkpoint is intact .* delete this folder"):
        restore(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["params"].update(b=jnp.ones(4)), r"params/b is float32 \[3\].* float32 \[4\]"),
        (lambda s: s.update(half=jnp.zeros(2)), r"half is bfloat16 \[2\].*has float32 \[2\]"),
        (lambda s: s["params"].update(c=jnp.ones(1)), "the network has params/c, the checkpoint"),
        (lambda s: s["params"].pop("b"), "the checkpoint has params/b, the network has not"),
    ],
)
def test_another_network_is_refused(saved, change, message):
    template = state(0)
    change(template)
    with pytest.raises(UserError, match=message) as error:
        restore(saved, template)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"classes": {"classes": [{"id": i, "name": f"c{i}"} for i in range(24)]}},
            r"trained on 2 classes \(sky, road\), the data has 24 classes \(c0, c1, c2, c3, …\)",
        ),
        (
            {"classes": {"classes": [{"id": 0, "name": "sky"}, {"id": 8, "name": "road"}]}},
            "the first that differs was {'id': 7, 'name': 'road'} and is {'id': 8",
        ),
        ({"fingerprint": "cd" * 32}, "trained on other labelled frames"),
        (
            {"config": {"seed": 1, "refiner": {"steps": 5, "crop": (1, 3)}}},
            r"another config \(refiner.crop was \[1, 2\], is \[1, 3\]; seed was 0, is 1\)",
        ),
    ],
)
def test_another_run_is_refused(saved, changed, message):
    with pytest.raises(UserError, match=message) as error:
        restore(saved, metadata={**METADATA, **changed})
    assert "\n" not in str(error.value)


def test_metadata_that_one_side_lacks_is_not_compared():
    check_metadata("RUN", METADATA, {"classes": METADATA["classes"]})
    check_metadata("RUN", {}, METADATA)
    newer = {**METADATA["config"], "an option of a later version": 1}
    check_metadata("RUN", METADATA, {"config": newer})


def test_colours_play_no_part():
    coloured = [{**c, "color": [1, 2, 3]} for c in METADATA["classes"]["classes"]]
    check_metadata("RUN", METADATA, {"classes": {"classes": coloured}})


VARIABLES = {
    "params": {"conv": {"kernel": np.arange(12, dtype=np.float32).reshape(3, 4)}, "s": np.ones(())},
    "batch_stats": {"half": jnp.asarray([1.5, -2], jnp.bfloat16), "none": np.zeros((0, 2))},
}


def test_results_are_given_back(tmp_path):
    save_result(tmp_path, "segmentation", VARIABLES, METADATA)
    variables, metadata = load_result(tmp_path, "segmentation")
    assert_same(variables, VARIABLES)
    assert metadata == METADATA
    assert [path.name for path in tmp_path.iterdir()] == ["segmentation.npz"]


def test_the_version_is_noted_and_not_compared(tmp_path, monkeypatch):
    for module in (checkpoints, results):
        monkeypatch.setattr(module, "__version__", "0.0.7")
    save_result(tmp_path, "a", VARIABLES, METADATA)
    steps = Checkpoints(tmp_path / "steps", METADATA)
    steps.save(1, state(1), {})
    steps.close()
    monkeypatch.undo()
    assert b'"version": "0.0.7"' in result_path(tmp_path, "a").read_bytes()
    assert load_result(tmp_path, "a")[1] == METADATA
    assert any(b"0.0.7" in p.read_bytes() for p in (tmp_path / "steps").rglob("*") if p.is_file())
    assert restore(tmp_path / "steps").step == 1


def test_no_result_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"refiner\.npz does not exist: train the stage 'refiner'"):
        load_result(tmp_path, "refiner")


def test_damaged_results_are_refused(tmp_path):
    rng = random.Random(5)
    save_result(tmp_path, "a", VARIABLES, METADATA)
    whole = result_path(tmp_path, "a").read_bytes()
    refused = 0
    for kind in ["flip"] * 150 + ["truncate"] * 40 + ["garbage"] * 3:
        result_path(tmp_path, "a").write_bytes(whole)
        damage(result_path(tmp_path, "a"), kind, rng)
        try:
            variables, metadata = load_result(tmp_path, "a")
        except UserError as error:
            assert "a.npz is damaged" in str(error)
            refused += 1
        else:  # a bit of the archive that nobody reads, such as a file date
            assert_same(variables, VARIABLES)
            assert metadata == METADATA
    assert refused > 100


def test_a_result_that_holds_a_pickle_is_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    np.savez(result_path(tmp_path, "a"), __metadata__=np.array([Evil()], dtype=object))
    with pytest.raises(UserError, match="damaged"):
        load_result(tmp_path, "a")
    assert not (tmp_path / "evil").exists()
