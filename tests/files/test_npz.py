"""Archives of arrays: what is announced is checked before memory is taken."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from hostile import bounded

from wrp_jax.data.flow_files import read_flow
from wrp_jax.files.npz import NpzFile
from wrp_jax.segmentation.predictions import Predictions
from wrp_jax.types import ClassMap, UserError

CLASSES = ClassMap((0, 1), ("road", "car"), np.zeros((2, 3), np.uint8), (False, False))


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    data = text.encode("latin-1")
    size = len(data).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + data


def describe(descr: str = "'<f4'", order: str = "False", shape: str = "(1, 1, 2)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def write(path, members: dict[str, bytes], how: int = zipfile.ZIP_STORED):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def read_all(path, limit=2**20):
    with NpzFile(path, limit) as file:
        return {name: file.read(name) for name in file.names}


ARRAYS = {
    "float": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "half": np.array([1.5], np.float16),
    "big": np.arange(3, dtype=">i4"),
    "truth": np.array([[True], [False]]),
    "scalar": np.array(7),
    "empty": np.zeros((0, 4)),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_comes_back(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    got = read_all(tmp_path / "a.npz")
    assert got.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert got[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(got[name], array)


def test_headers_of_other_writers_are_read(tmp_path):
    raw = np.array([[1.0, 2.0]], "<f4")
    texts = {
        "two": "{'shape': (1L, 2L), 'fortran_order': False, 'descr': '<f4'}  \n",  # Python 2
        "quotes": '{"descr": "<f4", "fortran_order": False, "shape": (1,2)}',
        "plain": describe(shape="(1, 2)"),
    }
    members = {f"{name}.npy": header(text) + raw.tobytes() for name, text in texts.items()}
    members["third.npy"] = header(describe(shape="(1, 2)"), b"\x03\x00") + raw.tobytes()
    got = read_all(write(tmp_path / "a.npz", members))
    assert len(got) == 4
    for array in got.values():
        np.testing.assert_array_equal(array, raw)


VALUES = bytes(8)
MEMBERS = {
    "objects": header(describe("'|O'")) + VALUES,
    "a structure": header(describe("[('a', '<f4')]")) + VALUES,
    "dates": header(describe("'<M8[s]'")) + VALUES,
    "text": header(describe("'<U2'")) + VALUES,
    "numbers of 16 bytes": header(describe("'<f16'")) + VALUES,
    "a negative side": header(describe(shape="(-1, 1, 2)")) + VALUES,
    "an overflowing shape": header(describe(shape=f"({2**33}, {2**33}, 2)")) + VALUES,
    "nothing, of an overflowing shape": header(describe(shape=f"(0, {2**70}, 2)")),
    "a hundred axes": header(describe(shape="(" + "1," * 100 + ")")) + VALUES,
    "a shape that is none": header(describe(shape="(1, 1, x)")) + VALUES,
    "a text that Python 2's reader cannot part": header(describe(shape="(1L, 1L, 2L")) + VALUES,
    "a line that goes on": header("{'descr': '''<f4") + VALUES,
    "depth": header("(" * 3000) + VALUES,
    "signs": header(describe(shape="(" + "-" * 3000 + "1,)")) + VALUES,
    "a header of 4 GiB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + VALUES,
    "a header that is cut": header(describe())[:30],
    "a key twice": header("{'descr': '<f4', 'descr': '<f4', 'shape': (1, 1, 2)}") + VALUES,
    "a key more": header(describe()[:-1] + "'x': (1,)}") + VALUES,
    "another format": b"GIF89a",
    "nothing": b"",
    "too few bytes": header(describe()) + VALUES[:-1],
    "too many bytes": header(describe()) + VALUES + b"\0",
    "fewer bytes than a gigabyte": header(describe(shape=f"({2**14}, {2**14}, 2)")) + VALUES,
}


@pytest.mark.parametrize("case", MEMBERS)
def test_arrays_that_are_none_are_refused(tmp_path, case):
    path = write(tmp_path / "a.npz", {"flow.npy": MEMBERS[case]})
    error = bounded(lambda: read_flow(path))
    assert isinstance(error, UserError) and "a.npz" in str(error)


def test_damage_behind_the_header_is_told(tmp_path, rng):
    path, flow = tmp_path / "a.npz", rng.normal(size=(64, 128, 2)).astype(np.float32)
    np.savez_compressed(path, flow=flow)
    whole = path.read_bytes()
    for at in range(20_000, len(whole) - 1_000, 5_000):
        for changed in (b"\xff" * 64, bytes(64), b""):
            path.write_bytes(whole[:at] + changed + whole[at + max(len(changed), 1) :])
            error = bounded(lambda: read_flow(path, (64, 128)), small=True)
            assert isinstance(error, UserError) and "a.npz is damaged" in str(error)


def test_a_flipped_bit_in_a_name_does_not_make_an_array_absent(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, flow=np.ones((2, 3, 2), np.float32), valid=np.zeros((2, 3), bool))
    whole = path.read_bytes()
    at = whole.rindex(b"valid.npy")
    path.write_bytes(whole[:at] + b"vamid.npy" + whole[at + 9 :])
    assert "its array 'vamid.npy' cannot be unpacked" in str(bounded(lambda: read_flow(path)))


def test_archives_that_numpy_never_writes_are_refused(tmp_path):
    whole = {"flow.npy": header(describe()) + VALUES}
    path = tmp_path / "a.npz"
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        write(path, whole, how)
        assert "packed in another way" in str(bounded(lambda: read_flow(path)))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as archive:
        archive.writestr("flow.npy", whole["flow.npy"])
        archive.writestr("flow.npy", whole["flow.npy"])
    assert "two arrays of one name" in str(bounded(lambda: read_flow(path)))
    data = bytearray(write(path, whole).read_bytes())
    data[6] |= 1  # encrypted, in both headers
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert isinstance(bounded(lambda: read_flow(path)), UserError)
    write(path, {f"{i}.npy": b"" for i in range(5_000)})
    assert "no array 'flow'" in str(bounded(lambda: read_flow(path)))


def _bomb(path, name: str, shape: tuple[int, ...], dtype: str = "<f4"):
    """Zeros that are announced, and that the archive really holds, packed a thousandfold."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        member.write(header(describe(f"'{dtype}'", shape=str(shape))))
        block = bytes(2**20)
        for done in range(0, size, len(block)):
            member.write(block[: min(len(block), size - done)])
    return path


def test_a_flow_larger_than_its_frames_is_not_unpacked(tmp_path):
    path = _bomb(tmp_path / "a.npz", "flow", (2**13, 2**12, 2))
    assert path.stat().st_size < 2**21
    error = bounded(lambda: read_flow(path, (48, 64)))
    assert "is 4096x8192 and its frames are 64x48" in str(error)


@pytest.mark.parametrize("name", ["probs", "logits", "features"])
@pytest.mark.parametrize("shape", [(2**12, 2**13, 2), (48, 64, 2**15)])
def test_predictions_larger_than_their_frame_needs_are_not_unpacked(tmp_path, name, shape):
    path = tmp_path / "s" / "probs" / "a.npz"
    _bomb(path, name, shape)
    if name == "features":
        with zipfile.ZipFile(path, "a") as archive:
            buffer = io.BytesIO()
            np.save(buffer, np.full((48, 64, 2), 0.5, np.float32))
            archive.writestr("probs.npy", buffer.getvalue())
    error = bounded(lambda: Predictions(tmp_path, CLASSES).read("s", "a", (48, 64)))
    assert isinstance(error, UserError) and "a.npz" in str(error)


def test_class_maps_that_are_none_are_refused(tmp_path):
    path = tmp_path / "class_map.json"
    for text in (
        b"[" * 10**5,
        b'{"classes": ' * 10**4,
        b'{"classes": {"0": "road", "0": "car"}}',
        b'{"classes": {"0": "road", "00": "car"}}',
        b'{"classes": {"+1": "road"}}',
        b'{"classes": {" 1": "road"}}',
        b'{"classes": {"1_0": "road"}}',
        '{"classes": {"²": "road"}}'.encode(),
        '{"classes": {"٣": "road"}}'.encode(),
        b'{"classes": {"' + b"9" * 5000 + b'": "road"}}',
        b'{"classes": {"65536": "road"}}',
        b'{"classes": {"0": NaN}}',
        b'{"classes": {"0": ["road"]}}',
        b'{"classes": {"0": "' + b"x" * 10**5 + b'"}}',
        b'{"classes": 3}',
        b'{"classes": "road"}',
        b"\xff\xfe",
    ):
        path.write_bytes(text)
        error = bounded(lambda: Predictions(tmp_path, CLASSES))
        assert isinstance(error, UserError) and "class_map.json" in str(error), text[:40]
    path.write_text(json.dumps({"classes": {"0": "road", "65535": None}}))
    Predictions(tmp_path, CLASSES)


def test_the_arrays_of_one_file_share_a_budget(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(100, np.uint8), b=np.zeros(100, np.uint8))
    assert read_all(tmp_path / "a.npz", limit=200).keys() == {"a", "b"}
    with pytest.raises(UserError, match=r"'b' is said to be uint8 \[100\], larger than needed"):
        read_all(tmp_path / "a.npz", limit=199)
