from __future__ import annotations

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from hostile import bounded
from safetensors.numpy import save

from wrp_jax.motion.build import ASSETS
from wrp_jax.types import UserError
from wrp_jax.weights.inert_pickle import CheckpointFormatError
from wrp_jax.weights.load import FORMAT, read_weights
from wrp_jax.weights.safetensors_file import DIGEST, read_safetensors, write_safetensors

ARRAYS = {
    "a.kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.float32(2.5).reshape(()),
    "half": np.array([1.5], ml_dtypes.bfloat16),
    "empty": np.zeros((0, 4), np.int64),
    "strided": np.arange(6).reshape(2, 3).T,
}


def _same(got, expected):
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


def test_round_trip(tmp_path):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, ARRAYS, {"network": "tiny"})
    arrays, metadata = read_safetensors(path)
    assert metadata.keys() == {"network", DIGEST} and metadata["network"] == "tiny"
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        _same(arrays[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def _file(path, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def _one(**changes):
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"[]",
        b"[" * 100_000,
        {"x": 3},
        {"__metadata__": 3},
        _one(dtype="F8"),
        _one(dtype=["F32"]),
        _one(shape=[3]),
        _one(shape=[-2]),
        _one(shape=[True, 2]),
        _one(shape=[2**40]),
        _one(data_offsets=[0, 16]),
        _one(data_offsets=[8, 0]),
        _one(data_offsets=[-8, 0]),
        _one(data_offsets=[0]),
        {**_one(), "y": _one()["x"]},
        {},
    ],
)
def test_headers_that_do_not_fit_are_refused(tmp_path, header):
    path = _file(tmp_path / "w.safetensors", header, bytes(8))
    with pytest.raises(CheckpointFormatError, match=r"w\.safetensors cannot be read"):
        read_safetensors(path)


def test_short_and_missing_files_are_named(tmp_path):
    path = tmp_path / "w.safetensors"
    for data in (b"", b"\x01", struct.pack("<Q", 2**63)):
        path.write_bytes(data)
        with pytest.raises(CheckpointFormatError):
            read_safetensors(path)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_safetensors(tmp_path / "missing.safetensors")


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "w.safetensors"
    arrays = {"a": ARRAYS["a.kernel"], "b": np.zeros(2, np.int8)}
    write_safetensors(path, arrays, {"network": "tiny", "format": FORMAT})
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            file = read_weights(path)
        except UserError as error:
            assert "w.safetensors" in str(error)
        else:
            # What says that the file is ours says that it has a digest: then the published names
            # are looked for, and there are none.
            assert not file.is_ours


def test_files_of_ours_need_their_digest_and_others_do_not(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(save(ARRAYS_OF_TWO, {"format": "pt"}))
    assert read_weights(path).arrays.keys() == ARRAYS_OF_TWO.keys()
    path.write_bytes(save(ARRAYS_OF_TWO, {"format": FORMAT}))
    with pytest.raises(UserError, match="has no digest, which every file of ours carries"):
        read_weights(path)


ARRAYS_OF_TWO = {"a": np.zeros(2, np.float32), "b": np.ones(3, np.float32)}


def test_the_weights_that_come_with_the_package_carry_their_digest():
    file = read_weights(ASSETS["refined_dis"])
    assert file.is_ours and DIGEST in file.metadata


def test_headers_that_the_library_would_take_or_weigh(tmp_path):
    path, two = tmp_path / "w.safetensors", _one()["x"]
    text = b'{"x": %s, "x": %s}' % ((json.dumps(two).encode(),) * 2)
    assert "occurs twice" in str(bounded(lambda: read_safetensors(_file(path, text, bytes(8)))))
    path.write_bytes(struct.pack("<Q", 100_000_000) + b"{}")
    assert "is said to have 100000000 bytes" in str(bounded(lambda: read_safetensors(path)))
    long = b'{"x": %s%s}' % (json.dumps(two).encode(), b" " * 2**21)
    assert "is said to have" in str(bounded(lambda: read_safetensors(_file(path, long, bytes(8)))))
    empty = _one(shape=[0, 2**62], data_offsets=[0, 0])
    assert isinstance(bounded(lambda: read_safetensors(_file(path, empty))), (tuple, UserError))
    overlap = {**_one(), "y": _one(data_offsets=[4, 12])["x"]}
    error = bounded(lambda: read_safetensors(_file(path, overlap, bytes(12))))
    assert isinstance(error, CheckpointFormatError)
