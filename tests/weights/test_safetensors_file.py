from __future__ import annotations

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wrp_jax.weights.inert_pickle import CheckpointFormatError
from wrp_jax.weights.safetensors_file import read_safetensors, write_safetensors

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
    assert metadata == {"network": "tiny"}
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
    with pytest.raises(CheckpointFormatError, match="cannot be opened"):
        read_safetensors(tmp_path / "missing.safetensors")


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(at=st.integers(0, 200), byte=st.binary(max_size=2), cut=st.integers(0, 3))
def test_mutations_raise_the_one_error(tmp_path, at, byte, cut):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, ARRAYS, {})
    data = path.read_bytes()
    path.write_bytes(data[:at] + byte + data[at + cut :])
    try:
        read_safetensors(path)
    except CheckpointFormatError as error:
        assert "w.safetensors" in str(error)
