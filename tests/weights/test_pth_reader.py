"""The checkpoint reader: what torch wrote comes back, what an attacker wrote does not."""

from __future__ import annotations

import gzip
import pathlib
import pickle
import struct
import tarfile
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hand_made import CONTAINERS, Call, Name, Storage, pickled, tensor, write_legacy, write_zip
from hostile import bounded, in_a_program

from wrp_jax.types import UserError
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
    value = {"x": tensor(Storage(4), 3, (1, 1), (2**62, 0))}
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


def test_keys_that_are_no_names_are_neither_hashed_nor_compared(tmp_path):
    alike = 2**61 - 1
    assert hash(alike) == hash(2 * alike)
    beside = {alike * k: 1 for k in range(20_000)} | {(1, (2,)): 1, 0.5: 2, None: 3, b"x": 4}
    value = {"state_dict": {"x": tensor(Storage(4))}, "beside": beside}
    path = write_zip(tmp_path / "a.pth", pickled(value))
    assert in_a_program("hostile", "sentences", READ_PTH, [str(path)]) == [""]
    write_zip(path, pickled({7: tensor(Storage(4))}))
    with pytest.raises(CheckpointFormatError, match="an entry without a name"):
        read_pth(path)
    write_zip(path, pickled({"x" * 513: tensor(Storage(4))}))
    with pytest.raises(CheckpointFormatError, match="a name that is longer"):
        read_pth(path)


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
    "text of protocol 0": b"S'q'\n.",
    "a number that is none": b"Ix\n.",
    "a line without an end": b"I1",
    "a memo far beyond its start": b"\x80\x02Nr\xff\xff\xff\xff.",
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
    itself = inert_pickle.follow(b"\x80\x02]q\x00h\x00a.")[0]
    assert itself[0] is itself
    # Forty doublings: walking or hashing the result would take for ever.
    doubling = b"\x80\x02)" + b"q\x00h\x00\x86" * 40 + b"."
    assert isinstance(inert_pickle.follow(doubling)[0], tuple)


def test_a_pickle_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(inert_pickle, "MAX_INSTRUCTIONS", 100)
    with pytest.raises(CheckpointFormatError, match="longer than any"):
        inert_pickle.follow(b"\x80\x02" + b"N0" * 200 + b"N.")


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
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_pth(tmp_path / "missing.pth")
    tar = bytearray(512)
    tar[257:262] = b"ustar"
    path.write_bytes(tar)
    with pytest.raises(CheckpointFormatError):
        read_pth(path)


def test_ordered_dicts_of_old_pythons_are_read(tmp_path):
    value = Call(Name("collections", "OrderedDict"), [["x", tensor(Storage(4))]])
    assert list(read_pth(write_legacy(tmp_path / "a.pth", value))) == ["x"]


def _repeated(start: bytes, part: bytes, end: bytes, size: int = 1_200_000) -> bytes:
    return b"\x80\x02" + start + part * ((size - len(start + end)) // len(part)) + end


ORDERED, LIST = b"ccollections\nOrderedDict\n", b"]q\x01(" + b"NN\x86" * 50_000 + b"e0"
TEXT = b"X" + struct.pack("<I", 500_000) + b"a" * 500_000
NAME = b"X" + struct.pack("<I", 250_000) + b"a" * 250_000
BOMBS = {
    "a kept list copied per call": _repeated(ORDERED + b"q\x000" + LIST, b"h\x00h\x01\x85R", b"."),
    "kept arguments walked per call": _repeated(
        b"ctorch\nSize\nq\x000(" + b"N" * 50_000 + b"tq\x010", b"h\x00h\x01R", b"."
    ),
    "a long name per call": _repeated(
        NAME + b"q\x000" + NAME + b"q\x010h\x00h\x01\x93q\x020", b"h\x02)R", b"."
    ),
    "a long key compared per item": _repeated(
        TEXT + b"q\x000" + TEXT + b"q\x010}h\x00Ns", b"h\x01Ns", b"."
    ),
    "dictionaries of one": _repeated(b"(", b"}K\x00Ns", b"t."),
    "marks": _repeated(b"", b"(", b"."),
    "memo": _repeated(b"N", b"\x94", b"."),
    "a long number": b"\x80\x02\x8b" + struct.pack("<I", 10**6) + b"\x7f" * 10**6 + b".",
    "digits": b"L" + b"9" * 10**6 + b"L\n.",
    "state of a large dictionary": _repeated(b"}(" + b"U\x01aN" * 9 + b"u", b"}b", b"."),
}


READ_PTH = "wrp_jax.weights.pth_reader:read_pth"


def test_time_and_memory_are_bounded(tmp_path):
    paths = []
    for kind, root in BOMBS.items():
        paths.append(write_zip(tmp_path / f"{kind}.pth", root))
    paths.append(tmp_path / "legacy.pth")
    start = pickled(LEGACY_MAGIC) + pickled(1001) + pickled({})
    paths[-1].write_bytes(start + BOMBS["a kept list copied per call"])
    said = in_a_program("hostile", "sentences", READ_PTH, [str(path) for path in paths])
    assert all("cannot be read as weights" in sentence for sentence in said)


def test_long_counts_are_refused_before_they_are_multiplied(tmp_path):
    long = 2**400_000  # eight such sides would take seconds per tensor
    value = {f"x{k}": tensor(Storage(4), 0, (long,) * 8, (long,) * 8) for k in range(50)}
    path = write_zip(tmp_path / "a.pth", pickled(value))
    assert "is not a" in str(bounded(lambda: read_pth(path)))


def test_many_names_of_one_tensor_are_refused(tmp_path):
    one = pickled(tensor(Storage(4)))[2:-1]
    names = b"".join(b"U\x06%06dh\x0f" % k for k in range(30_000))
    path = write_zip(
        tmp_path / "a.pth", b"\x80\x02" + b"}(" + b"U\x01a" + one + b"q\x0f" + names + b"u."
    )
    (said,) = in_a_program("hostile", "sentences", READ_PTH, [str(path)])
    assert "30001 entries" in said


def test_members_that_share_their_bytes_are_a_bomb(tmp_path):
    """Ten entries of the directory name one member: a storage each, of the same bytes."""
    numel, count = 10**5, 10
    value = {f"x{k}": tensor(Storage(numel, key=str(k)), 0, (1,), (1,)) for k in range(count)}
    path = tmp_path / "a.pth"
    write_zip(path, pickled(value), {"data/0": bytes(4 * numel)})
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.getinfo("archive/data/0")
        for k in range(1, count):
            again = zipfile.ZipInfo(f"archive/data/{k}")
            for name in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(again, name, getattr(first, name))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive._didModify = True
    assert path.stat().st_size < 500_000
    assert "larger than the file" in str(bounded(lambda: read_pth(path)))


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_every_protocol_that_holds_storages_is_read(tmp_path, protocol):
    value = {"epoch": 3, "best": True, "big": 2**40, "rate": 0.5, "x": None}
    state, _ = inert_pickle.follow(pickle.dumps(value, protocol))
    assert state == value
    nested = [("a", (1, 2, 3, 4)), b"bytes", {"ü": [1.5, -7]}, frozenset(), ()]
    got, _ = inert_pickle.follow(pickle.dumps(nested, protocol))
    assert got[0] == nested[0] and got[2] == nested[2] and got[4] == ()


def test_other_containers_are_named(tmp_path):
    path = tmp_path / "a.pth"
    with gzip.open(path, "wb") as file:
        file.write((FIXTURES / "legacy.pth").read_bytes())
    assert "compressed with gzip: unpack it" in str(bounded(lambda: read_pth(path)))
    with tarfile.open(path, "w") as archive:
        archive.add(FIXTURES / "legacy.pth", "storages")
    assert "a tar archive of PyTorch before" in str(bounded(lambda: read_pth(path)))


def test_a_memo_is_no_larger_than_what_was_kept():
    with pytest.raises(CheckpointFormatError, match="in a place of no pickle"):
        inert_pickle.follow(b"\x80\x02Nr\xff\xff\xff\xff.")
