"""Flow files: exact round trips, other programs' files, and what is wrong with a bad one."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wrp_jax.data.flow_files import read_flow, write_flow
from wrp_jax.types import UserError


@pytest.fixture
def flow(rng):
    flow = rng.normal(scale=40, size=(5, 7, 2)).astype(np.float32)
    flow[1, 2] = flow[4, 6] = np.nan
    return flow


@pytest.mark.parametrize("suffix", [".flo", ".npz"])
def test_what_is_written_comes_back_bit_for_bit(tmp_path, flow, suffix):
    path = tmp_path / "deep" / f"a{suffix}"
    write_flow(path, flow)
    back = read_flow(path)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, flow)


def test_kitti_comes_back_to_a_64th(tmp_path, flow):
    write_flow(tmp_path / "a.png", flow)
    back = read_flow(tmp_path / "a.png")
    np.testing.assert_array_equal(np.isnan(back), np.isnan(flow))
    np.testing.assert_array_equal(back[0], np.rint(flow[0] * 64) / 64)
    write_flow(tmp_path / "b.png", back)
    np.testing.assert_array_equal(read_flow(tmp_path / "b.png"), back)


def test_a_half_void_vector_is_void(tmp_path, flow):
    flow[0, 0, 1] = np.nan
    write_flow(tmp_path / "a.flo", flow)
    assert np.isnan(read_flow(tmp_path / "a.flo")[0, 0]).all()


def test_files_as_their_inventors_write_them(tmp_path):
    values = np.array([[[1.5, -2.0], [2e9, 0.0]]], "<f4")  # the second is unknown
    (tmp_path / "a.flo").write_bytes(struct.pack("<fii", 202021.25, 2, 1) + values.tobytes())
    got = read_flow(tmp_path / "a.flo")
    np.testing.assert_array_equal(got, [[[1.5, -2.0], [np.nan, np.nan]]])
    # KITTI: R is 64 dx + 2^15, G is 64 dy + 2^15, B is valid; OpenCV writes B, G, R.
    pixels = np.uint16([[[1, 2**15 - 64, 2**15 + 96], [0, 2**15, 2**15]]])
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    got = read_flow(tmp_path / "a.png")
    np.testing.assert_array_equal(got, [[[1.5, -1.0], [np.nan, np.nan]]])
    np.savez(tmp_path / "a.npz", flow=values[:, :1].astype(np.float64))
    np.testing.assert_array_equal(read_flow(tmp_path / "a.npz"), [[[1.5, -2.0]]])


def test_shared_samples_are_read(shared_data):
    samples = shared_data / "flow_samples"
    whale = read_flow(samples / "middlebury_rubberwhale" / "flow.flo")
    assert whale.shape == (388, 584, 2)
    assert 0.97 < np.isfinite(whale).mean() < 0.99
    kitti = read_flow(samples / "kitti_sample" / "flow_kitti16.png")
    assert kitti.shape == (375, 1242, 2)
    assert 0.15 < np.isfinite(kitti).mean() < 0.2
    assert 150 < np.nanmax(np.abs(kitti)) < 250


def test_kitti_has_no_room_for_long_vectors(tmp_path, flow):
    flow[0, 0] = 511.9, -512
    write_flow(tmp_path / "a.png", flow)
    flow[0, 0] = 600, 0
    with pytest.raises(UserError, match=r"b\.png cannot hold a displacement of 600 pixels"):
        write_flow(tmp_path / "b.png", flow)
    assert not (tmp_path / "b.png").exists()


def _flo(width, height, vectors):
    return struct.pack("<fii", 202021.25, width, height) + bytes(8 * vectors)


BAD = {
    "empty.flo": (b"", "202021.25"),
    "tag.flo": (bytes(20), "202021.25"),
    "short.flo": (_flo(2, 2, 4)[:-3], "it has 41 bytes; 2x2 vectors take 44"),
    "long.flo": (_flo(2, 2, 5), "it has 52 bytes"),
    "bomb.flo": (_flo(2**30, 2**30, 0), "its size is said to be"),
    "negative.flo": (_flo(-2, -2, 4), "its size is said to be -2x-2"),
    "text.png": (b"none", "cut off, or no PNG"),
    "text.npz": (b"PK\x03\x04none", "cut off, or no npz"),
    "x.jpg": (b"", "is no flow file: flow is read from .flo, .png, .npz"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_in_one_sentence(tmp_path, name):
    data, says = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as error:
        read_flow(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and says in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.flo cannot be read: No such file"):
        read_flow(tmp_path / "none.flo")


@pytest.mark.parametrize("suffix", [".flo", ".npz"])
def test_nan_that_is_not_marked_is_refused(tmp_path, flow, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".flo":
        path.write_bytes(struct.pack("<fii", 202021.25, 7, 5) + flow.tobytes())
    else:
        np.savez(path, flow=flow)
    with pytest.raises(UserError, match="holds NaN or infinity: mark vectors"):
        read_flow(path)


def test_pictures_of_another_kind_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="not 16-bit RGB"):
        read_flow(tmp_path / "a.png")
    np.savez(tmp_path / "a.npz", flow=np.zeros((4, 4, 3), np.float32))
    with pytest.raises(UserError, match="'flow' is not of floating"):
        read_flow(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", flow=np.zeros((4, 4, 2), np.float32), valid=np.ones((4, 3)))
    with pytest.raises(UserError, match="differ in size"):
        read_flow(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", flow=np.array([None]))
    with pytest.raises(UserError, match="describes no plain numbers"):
        read_flow(tmp_path / "c.npz")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flow")
    flow = np.random.default_rng(0).normal(size=(6, 5, 2)).astype(np.float32)
    files = {}
    for suffix in (".flo", ".png", ".npz"):
        write_flow(folder / f"a{suffix}", flow)
        files[suffix] = (folder / f"a{suffix}").read_bytes()
    return folder, files


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([".flo", ".png", ".npz"]), st.data())
def test_cut_or_changed_files_are_read_or_refused_and_nothing_else(whole, suffix, data):
    folder, files = whole
    raw = bytearray(files[suffix])
    cut = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw = raw[:cut]
    else:
        raw[cut] ^= data.draw(st.integers(1, 255))
    path = folder / f"changed{suffix}"
    path.write_bytes(raw)
    try:
        got = read_flow(path)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert len(raw) == len(files[suffix]) and got.ndim == 3
