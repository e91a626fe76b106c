"""Published layouts and formats, as tiny sets, through TFDS and back."""

import struct
import sys
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.flow_files import write_flow
from wrp_jax.data.flow_sets.build import build_flow_set
from wrp_jax.data.flow_sets.pairs import flow_pairs
from wrp_jax.data.flow_sets.pfm import read_pfm
from wrp_jax.data.flow_sets.stored import FlowSetSource
from wrp_jax.data.open_source import open_source
from wrp_jax.types import UserError

SIZE = (12, 16)
RNG = np.random.default_rng(0)


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
    if path.suffix == ".ppm":
        path.write_bytes(b"P6\n%d %d\n255\n" % SIZE[::-1] + pixels.tobytes())
    else:
        Image.fromarray(pixels).save(path)
    return pixels


def flow_of(seed):
    return np.random.default_rng([seed, 7]).normal(0, 5, (*SIZE, 2)).astype(np.float32)


def write_pfm(path, flow, order="<"):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.concatenate([flow, np.zeros((*SIZE, 1))], -1)[::-1].astype(f"{order}f4")
    scale = b"-1.0" if order == "<" else b"1"
    path.write_bytes(b"PF\n%d %d\n" % SIZE[::-1] + scale + b"\n" + values.tobytes())


def chairs(root):
    for i in (1, 2, 3):
        for k in (1, 2):
            picture(root / "data" / f"{i:05d}_img{k}.ppm", 10 * i + k)
        write_flow(root / "data" / f"{i:05d}_flow.flo", flow_of(i))
    (root / "FlyingChairs_train_val.txt").write_text("1\n2\n1\n")


def things(root):
    for i in (6, 7, 8):
        picture(root / f"frames_cleanpass/TRAIN/A/0000/left/{i:04d}.png", i)
        base = root / "optical_flow/TRAIN/A/0000"
        write_pfm(base / f"into_future/left/OpticalFlowIntoFuture_{i:04d}_L.pfm", flow_of(i))
        write_pfm(base / f"into_past/left/OpticalFlowIntoPast_{i:04d}_L.pfm", flow_of(-i % 100))


def sintel(root):
    for i in (1, 2, 3):
        picture(root / f"training/final/alley_1/frame_{i:04d}.png", i)
        if i < 3:
            write_flow(root / f"training/flow/alley_1/frame_{i:04d}.flo", flow_of(i))


def kitti(root):
    for i in (0, 1):
        for k in (10, 11):
            picture(root / f"training/image_2/{i:06d}_{k}.png", 100 * i + k)
        write_kitti(root / f"training/flow_occ/{i:06d}_10.png", i)


def hd1k(root):
    for sequence, count in ((0, 3), (2, 2)):
        for i in range(count):
            name = f"{sequence:06d}_{i:04d}.png"
            picture(root / "hd1k_input/image_2" / name, 10 * sequence + i)
            write_kitti(root / "hd1k_flow_gt/flow_occ" / name, 10 * sequence + i)


def write_kitti(path, seed):
    """By hand rather than by our own writer: B = valid, G = v, R = u; every second row."""
    flow = np.round(flow_of(seed) * 64) / 64
    flow[::2] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    coded = np.nan_to_num(flow) * 64 + 32768
    valid = np.isfinite(flow[..., :1])
    cv2.imwrite(str(path), np.where(valid, np.concatenate(
        [valid, coded[..., 1:], coded[..., :1]], -1), 0).astype(np.uint16))  # fmt: skip


def opened(name, make, tmp_path, config=None):
    make(tmp_path / "data")
    specs = build_flow_set(name, tmp_path / "data", tmp_path / "tfds", config).split()
    return [open_source(spec) for spec in specs]


def test_chairs(tmp_path):
    train, validation = opened("flying_chairs", chairs, tmp_path)
    assert "tensorflow" not in sys.modules
    assert (len(flow_pairs(train)), len(flow_pairs(validation))) == (2, 1)
    pair = flow_pairs(train).pair(1, RNG)
    expected = np.random.default_rng(31).integers(0, 256, (*SIZE, 3), np.uint8)
    np.testing.assert_array_equal(pair.first, expected)
    np.testing.assert_array_equal(pair.flow, flow_of(3))
    assert pair.valid.all() and pair.valid.shape == SIZE
    np.testing.assert_array_equal(validation.frame("0", "second"), picture(tmp_path / "x.png", 22))
    assert train.sequences == ("0", "1") and not train.label_names("0")


def test_things_go_both_ways_in_time(tmp_path):
    (source,) = opened("flying_things3d", things, tmp_path)
    assert len(source) == 4
    future, past = source.pair(0, RNG), source.pair(1, RNG)
    np.testing.assert_array_equal(future.first, past.second)
    np.testing.assert_array_equal(future.flow, flow_of(6))
    np.testing.assert_array_equal(past.flow, flow_of(-7 % 100))


def test_sintel_passes(tmp_path):
    (source,) = opened("sintel_flow", sintel, tmp_path, "final")
    assert len(source) == 2
    np.testing.assert_array_equal(source.pair(1, RNG).flow, flow_of(2))
    with pytest.raises(UserError, match="clean does not hold alley_1"):
        build_flow_set("sintel_flow", tmp_path / "data", tmp_path / "other", "clean")


def test_kitti_is_sparse(tmp_path):
    (source,) = opened("kitti_flow", kitti, tmp_path)
    pair = source.pair(1, RNG)
    assert pair.valid[1::2].all() and not pair.valid[::2].any()
    np.testing.assert_array_equal(pair.flow[1::2], (np.round(flow_of(1) * 64) / 64)[1::2])
    assert (pair.flow[::2] == 0).all()


def test_hd1k_pairs_stay_within_a_sequence(tmp_path):
    hd1k(tmp_path / "data")
    grey = np.full(SIZE, 77, np.uint8)
    Image.fromarray(grey).save(tmp_path / "data/hd1k_input/image_2/000002_0001.png")
    (source,) = opened("hd1k_flow", lambda root: None, tmp_path)
    assert len(source) == 3
    for index, seed in enumerate((0, 1, 20)):
        pair = source.pair(index, RNG)
        expected = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
        np.testing.assert_array_equal(pair.first, expected)
        np.testing.assert_array_equal(pair.flow[1::2], (np.round(flow_of(seed) * 64) / 64)[1::2])
        assert pair.valid[1::2].all() and not pair.valid[::2].any()
    assert (source.pair(2, RNG).second == 77).all()
    (tmp_path / "data/hd1k_flow_gt/flow_occ/000002_0000.png").unlink()
    with pytest.raises(UserError, match=r"flow_occ/000002_0000\.png is missing"):
        build_flow_set("hd1k_flow", tmp_path / "data", tmp_path / "other")


def test_pfm_in_both_byte_orders(tmp_path):
    flow = flow_of(1)
    for order in "<>":
        write_pfm(tmp_path / "a.pfm", flow, order)
        np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), flow)
    flow[0, 0, 1] = np.inf
    write_pfm(tmp_path / "a.pfm", flow)
    assert np.isnan(read_pfm(tmp_path / "a.pfm")[0, 0]).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"Pf" + data[2:],
        lambda data: b"PF\n999999999 999999999\n-1.0\n" + struct.pack("<f", 0),
    ],
)
def test_damaged_pfm_is_refused(tmp_path, damage):
    path = tmp_path / "a.pfm"
    write_pfm(path, flow_of(1))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="replace it"):
        read_pfm(path)


def test_mistakes_are_told_and_nothing_is_written(tmp_path, capsys, wrp):
    data, out = tmp_path / "data", tmp_path / "tfds"
    chairs(data)
    (data / "data" / "00002_flow.flo").unlink()
    arguments = ["build", "--set=flying_chairs", f"--data={data}", f"--output={out}"]
    assert wrp(*arguments) == 2
    error = capsys.readouterr().err
    assert "00002_flow.flo is missing" in error and error.count("\n") == 1
    write_flow(data / "data" / "00002_flow.flo", np.zeros((3, 4, 2), np.float32))
    assert wrp(*arguments) == 2
    assert "is 4x3 and its frames are 16x12" in capsys.readouterr().err
    (data / "FlyingChairs_train_val.txt").write_text("1\n2\n")
    assert wrp(*arguments) == 2
    assert "2 marks and there are 3 pairs" in capsys.readouterr().err
    assert wrp(*arguments[:2], f"--data={tmp_path / 'none'}", arguments[3]) == 2
    assert wrp(*arguments, "--pass=final") == 2
    assert "flying_chairs has one rendering only" in capsys.readouterr().err
    assert wrp(*arguments, "--name=mine") == 2
    assert "--name has no effect" in capsys.readouterr().err
    assert wrp("build", *arguments[2:], "--pass=final") == 2
    assert "--pass has no effect with --set=folder" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", ["longer", "shape", "cut", "checksum", "no zlib"])
def test_arrays_longer_than_their_pictures_are_not_unpacked(tmp_path, spoil):
    train, _ = opened("flying_chairs", chairs, tmp_path)
    element = dict(train._data[0])
    shape, value = element["flow"]["shape"], element["flow"]["value"]
    if spoil == "longer":
        value = zlib.compress(bytes(2**28))
    elif spoil == "shape":
        shape = np.array([2**15, 2**15, 2])
    elif spoil == "cut":
        value = value[:-5]
    elif spoil == "checksum":
        value = value[:-1] + bytes([value[-1] ^ 1])
    else:
        value = b"no zlib" * 9
    element["flow"] = {"shape": shape, "value": value}
    source = FlowSetSource("made-up", [element])
    tracemalloc.start()
    with pytest.raises(UserError, match=r"^made-up: record 0 is damaged \(flow.*build it again"):
        source.pair(0, RNG)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
