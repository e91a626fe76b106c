"""Flow from files: found by names, composed where a pair has no file, dumped and read again."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

from wrp_jax.config import MotionConfig
from wrp_jax.data.flow_files import read_flow, write_flow
from wrp_jax.data.images import encode_png
from wrp_jax.data.open_source import open_source
from wrp_jax.files.verify import verify
from wrp_jax.motion.build import build_motion, motion_digest
from wrp_jax.motion.dump import dump
from wrp_jax.motion.precomputed import check_flows
from wrp_jax.types import UserError, Window, clip_of

NAMES = ("a", "b", "c", "d")
H, W = 12, 20


@pytest.fixture
def frames(rng):
    return rng.integers(0, 256, (4, H, W, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Everything moves one pixel to the right per frame."""
    for i, name in enumerate(NAMES):
        for kind, dx, there in (("backward", -1, i > 0), ("forward", 1, i < 3)):
            if there:
                flow = np.full((H, W, 2), (dx, 0), np.float32)
                write_flow(tmp_path / "flow" / "street" / kind / f"{name}.flo", flow)
    return tmp_path / "flow"


def flows_of(folder, frames, **options):
    """``flows(targets, sources)`` of the street."""
    motion = build_motion(MotionConfig(name="precomputed", folder=str(folder), **options))
    return functools.partial(motion, clip_of(frames, "street", NAMES))


def test_neighbours_come_from_their_direction(folder, frames):
    flows = flows_of(folder, frames)
    flow = flows(range(1, 4), range(3))
    assert flow.shape == (3, H, W, 2) and flow.dtype == np.float32
    np.testing.assert_array_equal(flow[..., 0], -1)
    np.testing.assert_array_equal(flows([0], [1])[..., 0], 1)
    np.testing.assert_array_equal(flows([0], [0]), 0)
    assert flows([], []).shape == (0, H, W, 2)


def test_far_pairs_are_composed_and_void_stays_void(folder, frames):
    path = folder / "street" / "backward" / "b.flo"
    flow = read_flow(path)
    flow[:, 5] = np.nan
    write_flow(path, flow)
    flows = flows_of(folder, frames)
    far = flows([3], [0])[0]
    # On d, what lies at x was at x-1 on c, x-2 on b and x-3 on a; b is void at 5, d at 7.
    known = np.isfinite(far).all(-1)
    assert not known[:, 7].any() and known[:, :6].all() and known[:, 9:].all()
    np.testing.assert_allclose(far[known][:, 0], -3, atol=1e-6)
    again = flows([2], [0])[0]
    np.testing.assert_allclose(again[np.isfinite(again).all(-1)][:, 0], -2, atol=1e-6)


def test_a_far_pairs_own_file_goes_before_composing(folder, frames):
    own = np.full((H, W, 2), (-7, 2), np.float32)
    write_flow(folder / "street" / "into" / "a" / "c.npz", own)
    flows = flows_of(folder, frames)
    np.testing.assert_array_equal(flows([2], [0])[0], own)
    # A longer one is composed with it.
    np.testing.assert_allclose(flows([3], [0])[0], own - [1, 0])


def test_frames_of_no_video_are_left_to_the_other_motion(folder, frames):
    motion = build_motion(MotionConfig(name="precomputed", folder=str(folder), flow="zero"))
    np.testing.assert_array_equal(motion(clip_of(frames), [1, 2, 3], [0, 1, 2]), 0)


def test_parts_of_one_video_share_their_flows(folder, frames):
    """Positions count from where a clip begins; names are what counts."""
    own = np.full((H, W, 2), (-7, 2), np.float32)
    write_flow(folder / "street" / "into" / "a" / "c.npz", own)
    motion = build_motion(MotionConfig(name="precomputed", folder=str(folder)))
    whole, part = (clip_of(frames[i:], "street", NAMES[i:]) for i in (0, 1))
    np.testing.assert_allclose(motion(whole, [3], [0])[0], own - [1, 0])
    np.testing.assert_array_equal(motion(part, [2], [0])[0], np.full((H, W, 2), (-2, 0)))
    np.testing.assert_array_equal(motion(whole, [2], [0])[0], own)


def test_mistakes_are_named(folder, frames, tmp_path):
    flows = flows_of(folder, frames)
    write_flow(folder / "street" / "forward" / "c.flo", np.zeros((H, W + 1, 2), np.float32))
    with pytest.raises(UserError, match=r"c\.flo is 21x12 and its frames are 20x12"):
        flows([2], [3])
    (folder / "street" / "backward" / "d.flo").unlink()
    with pytest.raises(UserError, match=r"backward/d\.flo is missing \(nor is there \.png or"):
        flows([3], [0])
    with pytest.raises(UserError, match="is no folder: give the one"):
        build_motion(MotionConfig(name="precomputed", folder=str(tmp_path / "none")))
    with pytest.raises(UserError, match="flow='precomputed' needs flow itself"):
        flows_of(folder, frames, flow="precomputed")


@pytest.fixture
def video(tmp_path, frames):
    root = tmp_path / "data"
    (root / "street" / "frames").mkdir(parents=True)
    for name, frame in zip(NAMES, frames, strict=True):
        (root / "street" / "frames" / f"{name}.png").write_bytes(encode_png(frame))
    classes = [{"id": 0, "name": "x", "color": [0, 0, 0], "void": False}]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    return open_source(str(root))


def test_two_flows_of_one_pair_are_refused(folder, frames):
    write_flow(folder / "street/backward/b.npz", np.zeros((H, W, 2), np.float32))
    with pytest.raises(UserError, match=r"two flows, .*b\.flo and .*b\.npz: remove one"):
        flows_of(folder, frames)([1], [0])


def test_windows_are_checked_before_anything_is_done(folder, video):
    window = Window("street", "b", "a", "d")
    check_flows(folder, video, [window])
    (folder / "street" / "forward" / "c.flo").rename(folder / "street" / "forward" / "c.bak")
    check_flows(folder, video, [Window("street", "b", "a", "c")])
    with pytest.raises(UserError, match=r"forward/c\.flo is missing"):
        check_flows(folder, video, [window])
    write_flow(folder / "street" / "backward" / "b.flo", np.zeros((5, 6, 2), np.float32))
    with pytest.raises(UserError, match=r"b\.flo is 6x5"):
        check_flows(folder, video, [window])


@pytest.mark.parametrize("suffix", [".flo", ".npz", ".png"])
def test_what_is_dumped_is_what_was_estimated(tmp_path, video, frames, rng, suffix):
    known = {}

    def motion(clip, targets, sources, initial=None):
        flows = rng.integers(-640, 640, (len(targets), H, W, 2)).astype(np.float32) / 64
        for t, s, flow in zip(targets, sources, flows, strict=True):
            np.testing.assert_array_equal(clip.frame(t), frames[NAMES.index(clip.names[t])])
            known[clip.names[t], clip.names[s]] = flow
        return flows

    out = tmp_path / "dumped"
    assert dump(motion, video, out, suffix=suffix, apart=(1, 3)) == 8
    flows = flows_of(out, frames)
    for t, s in [(1, 0), (0, 1), (3, 2), (3, 0), (0, 3)]:
        np.testing.assert_array_equal(flows([t], [s])[0], known[NAMES[t], NAMES[s]])
    (out / "street" / "backward" / f"c{suffix}").unlink()
    assert dump(motion, video, out, suffix=suffix, apart=(1, 3)) == 1


def test_other_files_are_another_digest(folder):
    config = MotionConfig(name="precomputed", folder=str(folder))
    before = motion_digest(config)
    assert before == motion_digest(config) and motion_digest(MotionConfig()) == ""
    (folder / "street" / "backward" / "b.flo").unlink()
    assert motion_digest(config) != before


def test_flow_of_other_frames_is_found_again(tmp_path, video, frames, caplog):
    asked = []

    def motion(clip, targets, sources, initial=None):
        asked.extend((clip.names[t], clip.names[s]) for t, s in zip(targets, sources, strict=True))
        return np.zeros((len(targets), H, W, 2), np.float32)

    root, out = tmp_path / "data", tmp_path / "dumped"

    def again():
        asked.clear()
        count = dump(motion, open_source(str(root)), out, suffix=".npz")
        assert count == len(asked)
        return sorted(asked)

    assert len(again()) == 6
    assert again() == []
    (root / "street/frames/a.png").write_bytes(encode_png(frames[1]))
    # A motion may look at the frame before the pair.
    assert again() == [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")]
    path = out / "street/forward/c.npz"
    before = path.read_bytes()
    path.write_bytes(before[:-9])
    assert verify(out)[1] == [f"{path} was changed after it was written."]
    assert again() == [("c", "d")] and path.read_bytes() == before
    assert f"{path} was changed after it was written: it is made again" in caplog.messages
    (root / "street/frames/d.png").unlink()
    assert again() == [("b", "c"), ("c", "b")]
    assert not list(out.glob("street/*/d.npz")) and not path.exists()
    assert again() == [] and verify(out) == (4, [])


def test_the_notes_of_dump_are_no_flow(folder):
    config = MotionConfig(name="precomputed", folder=str(folder))
    before = motion_digest(config)
    (folder / ".digests.json").write_text("{}")
    assert motion_digest(config) == before


def _cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def _other_size(path):
    write_flow(path, np.zeros((H, W + 1, 2), np.float32))


@pytest.mark.parametrize("suffix", [".flo", ".png", ".npz"])
@pytest.mark.parametrize(
    ("damage", "said"), [(_cut, "damaged"), (_other_size, "compute it at their size")]
)
@pytest.mark.parametrize("place", ["backward/c", "forward/b", "into/a/c"])
def test_headers_and_lengths_are_checked_in_the_middle_of_a_set(
    tmp_path, video, suffix, damage, said, place
):
    window = Window("street", "b", "a", "d")
    for path in ("backward/b", "backward/c", "backward/d", "forward/a", "forward/b", "forward/c"):
        write_flow(tmp_path / "street" / f"{path}{suffix}", np.zeros((H, W, 2), np.float32))
    write_flow(tmp_path / "street" / f"into/a/c{suffix}", np.zeros((H, W, 2), np.float32))
    check_flows(tmp_path, video, [window])
    damage(tmp_path / "street" / f"{place}{suffix}")
    with pytest.raises(UserError, match=f"{place}{suffix}.*{said}"):
        check_flows(tmp_path, video, [window])
