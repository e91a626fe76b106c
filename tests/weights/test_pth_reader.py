"""The checkpoint reader: what torch wrote comes back, what an attacker wrote does not."""

from __future__ import annotations

import io
import os
import pathlib
import struct
import time
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hand_made import CONTAINERS, Call, Name, Storage, pickled, tensor, write_legacy, write_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wrp_jax.weights import inert_pickle
from wrp_jax.weights.inert_pickle import CheckpointFormatError
from wrp_jax.weights.pth_reader import LEGACY_MAGIC, read_pth

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def _expected():
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    return {
        "whole": base,
        "transposed": base.T,
        "slice": base[1:3, ::2],
        "parameter": np.array([1.5, -2.0], np.float32),
        "half": np.array([0.5, 65504.0], np.float16),
        "bfloat16": np.array([1.0, -3.140625], ml_dtypes.bfloat16),
        "double": np.array([[1e300]]),
        "long": np.array(2**40),
        "byte": np.array([0, 255], np.uint8),
        "bool": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float32),
    }


@pytest.mark.parametrize("container", CONTAINERS)
def test_both_containers_come_back_whole(container):
    arrays = read_pth(FIXTURES / f"{container}.pth")
    expected = _expected()
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_the_installed_torch_writes_is_read(tmp_path, zipped):
    torch = pytest.importorskip("torch", reason="the committed fixtures hold without torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    path = tmp_path / "network.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=zipped)
    arrays = read_pth(path)
    assert list(arrays) == list(network.state_dict())
    for name, expected in network.state_dict().items():
        np.testing.assert_array_equal(arrays[name], expected.numpy())


def test_the_hand_made_container_itself_is_sound(tmp_path):
    value = {"x": tensor(Storage(4))}
    raw = np.arange(4, dtype=np.float32).tobytes()
    path = write_zip(tmp_path / "a.pth", pickled(value), {"data/0": raw})
    np.testing.assert_array_equal(read_pth(path)["x"], np.arange(4))
    view = (("view", 1, 2),)
    value = {"x": tensor(Storage(4, view=view), 0, (2,)), "y": tensor(Storage(4))}
    path = write_legacy(tmp_path / "b.pth", value, (("0", 4, raw),))
    np.testing.assert_array_equal(read_pth(path)["x"], [1, 2])


def test_the_stride_of_a_single_element_does_not_matter(tmp_path):
    value = {"x": tensor(Storage(4), 3, (1, 1), (2**70, 0))}
    for path in (
        write_zip(tmp_path / "a.pth", pickled(value)),
        write_legacy(tmp_path / "b.pth", value),
    ):
        np.testing.assert_array_equal(read_pth(path)["x"], [[0.0]])


def test_big_endian_numbers_are_turned(tmp_path):
    raw = np.arange(4, dtype=">f4").tobytes()
    members = {"data/0": raw, "byteorder": b"big"}
    path = write_zip(tmp_path / "a.pth", pickled({"x": tensor(Storage(4))}), members)
    np.testing.assert_array_equal(read_pth(path)["x"], np.arange(4))


def test_the_byte_order_of_the_older_container_is_honoured(tmp_path):
    raw = np.arange(4, dtype=">f4").tobytes()
    value, storages = {"x": tensor(Storage(4))}, (("0", 4, raw),)
    path = write_legacy(tmp_path / "a.pth", value, storages, little=False)
    np.testing.assert_array_equal(read_pth(path)["x"], np.arange(4))


def test_numbers_of_numpy_beside_the_state_dict_do_no_harm(tmp_path):
    beside = {"best": np.float64(0.5), "epoch": np.int64(3), "seed": np.uint32(7)}
    value = {**beside, "state_dict": {"x": tensor(Storage(4))}}
    for path in (
        write_zip(tmp_path / "a.pth", pickled(value)),
        write_legacy(tmp_path / "b.pth", value),
    ):
        assert list(read_pth(path)) == ["x"]


DEEP = {  # beyond Python's limit of recursion
    "lists": b"]" * 3000 + b"a" * 2999,
    "tuples": b")" + b"\x85" * 3000,
    "dictionaries": b"}" + b"X\x01\0\0\0k}" * 3000 + b"s" * 3000,
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_nesting_does_no_harm(tmp_path, kind):
    path = write_zip(tmp_path / "a.pth", b"\x80\x02" + DEEP[kind] + b".")
    with pytest.raises(CheckpointFormatError, match="state dict"):
        read_pth(path)
    state = pickled({"state_dict": {"x": tensor(Storage(4))}}).removesuffix(b".")
    write_zip(path, state + b"X\x04\0\0\0deep" + DEEP[kind] + b"s.")
    assert list(read_pth(path)) == ["x"]


def test_keys_that_hash_alike_are_refused_at_once(tmp_path):
    alike = 2**61 - 1
    assert hash(alike) == hash(2 * alike)
    path = write_zip(tmp_path / "a.pth", pickled({alike: 1, "x": tensor(Storage(4))}))
    with pytest.raises(CheckpointFormatError, match="a number for its name"):
        read_pth(path)
    write_zip(path, b"\x80\x02Np%d\n." % alike)
    with pytest.raises(CheckpointFormatError, match="a number for its name"):
        read_pth(path)
    counts = {"state_dict": {"x": tensor(Storage(4))}, 2**60: 1, -3: 2}
    assert list(read_pth(write_zip(path, pickled(counts)))) == ["x"]


HOSTILE_VALUES = {
    "stride 0 makes 37 GiB of four numbers": tensor(Storage(4), 0, (10**10,), (0,)),
    "overlapping strides": tensor(Storage(4), 0, (2, 2, 2, 2), (1, 1, 1, 0)),
    "more elements than numbers": tensor(Storage(4), 0, (2, 3), (1, 1)),
    "offset beyond the storage": tensor(Storage(4), 1),
    "negative offset": tensor(Storage(4), -1, (2,)),
    "negative stride": tensor(Storage(4), 3, (4,), (-1,)),
    "negative size": tensor(Storage(4), 0, (-4,)),
    "huge stride": tensor(Storage(4), 0, (2,), (2**62,)),
    "empty with a side beyond memory": tensor(Storage(4), 0, (0, 2**70), (1, 1)),
    "nine dimensions": tensor(Storage(4), 0, (1,) * 9, (1,) * 9),
    "shape and strides of different length": tensor(Storage(4), 0, (4,), (1, 1)),
    "truth value as size": tensor(Storage(4), 0, (True,)),
    "shape is a number": tensor(Storage(4), 0, 4),
    "storage longer than its bytes": tensor(Storage(5)),
    "storage shorter than its bytes": tensor(Storage(3), 0, (3,)),
    "unknown element kind": tensor(Storage(4, kind="QInt8Storage")),
    "storage missing": tensor(Storage(4, key="1")),
    "tensor without storage": tensor("0"),
    "parameter without tensor": Call(Name("torch._utils", "_rebuild_parameter"), 1),
    "element kind from elsewhere": Call(
        Name("torch._utils", "_rebuild_tensor_v2"), Name("os", "system"), 0, (4,), (1,)
    ),
    "call of a dictionary": Call({}, 1),
    "no tensor": "text",
    "nested dictionary": {"x": tensor(Storage(4))},
    "foreign class as tensor": Call(Name("numpy", "array"), [1.0]),
    "view beyond its storage": tensor(Storage(4, view=(("v", 3, 2),)), 0, (1,)),
}


@pytest.mark.parametrize("case", HOSTILE_VALUES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_hostile_values_are_refused_in_one_sentence(tmp_path, container, case):
    value = {"x": HOSTILE_VALUES[case]}
    path = tmp_path / "hostile.pth"
    write_zip(path, pickled(value)) if container == "zip" else write_legacy(path, value)
    with pytest.raises(CheckpointFormatError, match=r"hostile\.pth cannot be read as weights: "):
        read_pth(path)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("beside", [True, False])
def test_a_payload_is_never_run(tmp_path, container, beside):
    sign = tmp_path / "owned"
    attack = Call(Name("os", "system"), f"touch {sign}")
    value = {"state_dict": {"x": tensor(Storage(4))}, "epoch": attack} if beside else attack
    path = tmp_path / "hostile.pth"
    write_zip(path, pickled(value)) if container == "zip" else write_legacy(path, value)
    if beside:  # inert where it does no harm: old checkpoints carry argparse.Namespace and such
        assert list(read_pth(path)) == ["x"]
    else:
        with pytest.raises(CheckpointFormatError, match="no state dict"):
            read_pth(path)
    assert not sign.exists()


PROGRAMS = {
    "an item set on a list": b"\x80\x02]K\x01K\x02s.",
    "an item set on a number": b"\x80\x02K\x00K\x01K\x02s.",
    "items set on a tuple": b"\x80\x02)(K\x01K\x02u.",
    "state set on a list": b"\x80\x02]}b.",
    "an element appended to a dictionary": b"\x80\x02}K\x01a.",
    "a tuple as key": b"\x80\x02})K\x01s.",
    "a list as key": b"\x80\x02}]K\x01s.",
    "a key without a value": b"\x80\x02}(K\x01u.",
    "an empty stack": b"\x80\x02.",
    "no mark": b"\x80\x02K\x01t.",
    "an unknown memo entry": b"\x80\x02h\x05.",
    "an instruction of no checkpoint": b"\x80\x02\x82\x01.",
    "a text persistent id": b"P0\n.",
    "an unknown instruction": b"\x80\x02\xff.",
    "no end": b"\x80\x02K\x01",
    "a string longer than the file": b"\x80\x02\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "a negative length": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "values left over": b"\x80\x02K\x01K\x02.",
    "an escape that is none": b"S'\\q'\n.",
    "a call without arguments": b"\x80\x02cos\nsystem\nK\x01R.",
}


@pytest.mark.parametrize("case", PROGRAMS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_pickles_that_make_no_sense_are_refused(tmp_path, container, case):
    path = tmp_path / "hostile.pth"
    if container == "zip":
        write_zip(path, PROGRAMS[case])
    else:
        path.write_bytes(pickled(LEGACY_MAGIC) + pickled(1001) + pickled({}) + PROGRAMS[case])
    with pytest.raises(CheckpointFormatError):
        read_pth(path)


def test_containers_that_hold_themselves_do_no_harm():
    itself = inert_pickle.follow(io.BytesIO(b"\x80\x02]q\x00h\x00a."))
    assert itself[0] is itself
    # Forty doublings: walking or hashing the result would take for ever.
    doubling = b"\x80\x02)" + b"q\x00h\x00\x86" * 40 + b"."
    assert isinstance(inert_pickle.follow(io.BytesIO(doubling)), tuple)


def test_a_pickle_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(inert_pickle, "MAX_INSTRUCTIONS", 100)
    with pytest.raises(CheckpointFormatError, match="longer than any"):
        inert_pickle.follow(io.BytesIO(b"\x80\x02" + b"N0" * 200 + b"N."))


def test_many_copies_of_one_storage_are_a_bomb(tmp_path):
    matrix = {f"x{k}": tensor(Storage(10**4), 0, (100, 100), (1, 100)) for k in range(50)}
    path = write_zip(tmp_path / "bomb.pth", pickled(matrix), {"data/0": bytes(4 * 10**4)})
    with pytest.raises(CheckpointFormatError, match="far more than the file"):
        read_pth(path)


@pytest.mark.parametrize(
    "name", ["../evil", "data/../../evil", "data/a", "code/model.py", "data/0/1", "constants.pkl"]
)
def test_members_that_no_state_dict_has_are_refused(tmp_path, name):
    members = {"data/0": bytes(16), name: b""}
    path = write_zip(tmp_path / "a.pth", pickled({"x": tensor(Storage(4))}), members)
    with pytest.raises(CheckpointFormatError, match="no state dict has"):
        read_pth(path)


def test_compressed_members_are_refused(tmp_path):
    value = pickled({"x": tensor(Storage(10**6), 0, (10**6,))})
    members = {"data/0": bytes(4 * 10**6)}
    path = write_zip(tmp_path / "bomb.pth", value, members, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    with pytest.raises(CheckpointFormatError, match="compressed"):
        read_pth(path)


def test_legacy_lengths_must_agree(tmp_path):
    value = {"x": tensor(Storage(4))}
    for storages, keys in [
        ((("0", 5, bytes(16)),), None),
        ((("0", -4, bytes(16)),), None),
        ((("0", 4, bytes(15)),), None),
        ((("0", 4, bytes(16)),), ["1"]),
        ((("0", 4, bytes(16)),), ["0", "0"]),
        ((("0", 4, bytes(16)),), [["0"]]),
        ((("0", 4, bytes(16)),), []),
        ((("0", 4, bytes(16)),), 7),
    ]:
        with pytest.raises(CheckpointFormatError):
            read_pth(write_legacy(tmp_path / "a.pth", value, storages, keys))


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_truncation_is_an_error(tmp_path, container):
    whole = (FIXTURES / f"{container}.pth").read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointFormatError):
            read_pth(path)


def test_other_files_are_named(tmp_path):
    path = tmp_path / "page.pth"
    path.write_text("<html>404</html>")
    with pytest.raises(CheckpointFormatError, match=r"page\.pth cannot be read"):
        read_pth(path)
    with pytest.raises(CheckpointFormatError, match="cannot be opened"):
        read_pth(tmp_path / "missing.pth")
    tar = bytearray(512)
    tar[257:262] = b"ustar"
    path.write_bytes(tar)
    with pytest.raises(CheckpointFormatError):
        read_pth(path)


MUTATIONS = int(os.environ.get("WRP_JAX_MUTATIONS", "150"))


def _members(path):
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


# A changed byte of the zip container mostly meets the archive's checksum, so its pickle is changed
# once more by itself and packed anew.
@pytest.mark.parametrize("changed", [*CONTAINERS, "pickle"])
@settings(
    max_examples=MUTATIONS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4), st.integers(0, 4)),
        min_size=1,
        max_size=4,
    )
)
def test_mutations_raise_the_one_error_and_take_little_memory_and_time(tmp_path, changed, edits):
    path = tmp_path / "mutated.pth"
    members = _members(FIXTURES / "zip.pth")
    root = members.pop("data.pkl")
    data = root if changed == "pickle" else (FIXTURES / f"{changed}.pth").read_bytes()
    for place, insert, cut in edits:
        # Most bytes of the zip container are padding: aim at its first, telling part.
        at = int(place * min(len(data), 3000))
        data = data[:at] + insert + data[at + cut :]
    write_zip(path, data, members) if changed == "pickle" else path.write_bytes(data)
    tracemalloc.start()
    began = time.process_time()  # other programs may keep the machine busy
    try:
        arrays = read_pth(path)
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
    except CheckpointFormatError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200 * 2**20
    assert time.process_time() - began < 1.0


def test_ordered_dicts_of_old_pythons_are_read(tmp_path):
    value = Call(Name("collections", "OrderedDict"), [["x", tensor(Storage(4))]])
    assert list(read_pth(write_legacy(tmp_path / "a.pth", value))) == ["x"]
