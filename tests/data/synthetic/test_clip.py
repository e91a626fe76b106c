"""Exactness of labels and motion: closed forms, and frames that must reproduce each other."""

import dataclasses

import cv2
import numpy as np
import pytest

from wrp_jax.data.synthetic import render
from wrp_jax.data.synthetic.camera import drive, look
from wrp_jax.data.synthetic.clip import render_clip
from wrp_jax.data.synthetic.config import CLASSES, SyntheticConfig
from wrp_jax.data.synthetic.layout import lay_scene
from wrp_jax.data.synthetic.town import build_town
from wrp_jax.types import UserError

SMALL = SyntheticConfig(height=56, width=96, frames=3, town=0)
STILL = dataclasses.replace(SMALL, speed=0.0, turn=0.0, shake=0.0, moving=0.0)
GROUND = [CLASSES.names.index(k) for k in ("road", "marking", "pavement", "terrain")]
CLEAN = {"noise": 0.0, "exposure": 0.0, "blur": 0.0, "jpeg": 0}


def landing(flow):
    """Nearest pixel that each flow vector points at; void vectors stay in place."""
    h, w = flow.shape[:2]
    flow = np.nan_to_num(flow)
    x = np.rint(np.arange(w) + flow[..., 0]).astype(int)
    y = np.rint(np.arange(h)[:, None] + flow[..., 1]).astype(int)
    return np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)


def both_ways(clip):
    """(frame the flow lives on, frame it points into, flow, way back, visible) of every pair."""
    for i in range(len(clip.frames) - 1):
        back, forth = clip.flow_backward[i], clip.flow_forward[i]
        yield i + 1, i, back, forth, clip.visible_backward[i]
        yield i, i + 1, forth, back, clip.visible_forward[i]


def test_same_seed_same_bytes_and_other_seed_other_bytes():
    first, again, other = (render_clip(SMALL, seed) for seed in (3, 3, 4))
    for field in dataclasses.fields(first):
        a, b = getattr(first, field.name), getattr(again, field.name)
        assert a.tobytes() == b.tobytes()
    assert (first.frames != other.frames).any()


def test_shapes_and_types():
    clip = render_clip(SMALL, 0)
    assert clip.frames.shape == (3, 56, 96, 3) and clip.frames.dtype == np.uint8
    assert clip.labels.shape == (3, 56, 96) and clip.labels.dtype == np.int32
    for flow in (clip.flow_backward, clip.flow_forward):
        assert flow.shape == (2, 56, 96, 2) and flow.dtype == np.float32
    for visible in (clip.visible_backward, clip.visible_forward):
        assert visible.shape == (2, 56, 96) and visible.dtype == bool


def test_still_camera_and_still_things_have_no_flow():
    clip = render_clip(dataclasses.replace(STILL, **CLEAN), 1)
    for _, _, flow, _, visible in both_ways(clip):
        np.testing.assert_allclose(flow, 0.0, atol=1e-4)
        assert visible.all()
    assert (clip.frames[0] == clip.frames[2]).all()
    assert (clip.labels[0] == clip.labels[2]).all()


def test_pure_yaw_is_the_homography_of_a_rotation():
    config = dataclasses.replace(STILL, turn=0.02, clutter=0.0)
    clip = render_clip(config, 2)
    h, w = config.height, config.width
    focal = config.focal * w
    grid = np.stack(np.meshgrid(np.arange(w), np.arange(h)), -1).astype(np.float64)
    x, y = grid[..., 0] - (w - 1) / 2, grid[..., 1] - (h - 1) / 2
    flow = clip.flow_backward[0]
    # The angle from one pixel of the middle row; then it must explain every other one.
    row, column = h // 2, w // 3
    before = np.arctan2(x[row, column], focal)
    after = np.arctan2(x[row, column] + flow[row, column, 0], focal)
    angle = after - before
    assert abs(angle) > 1e-3
    c, s = np.cos(angle), np.sin(angle)
    depth = focal * c - x * s
    expected = np.stack([focal * (x * c + focal * s) / depth - x, focal * y / depth - y], -1)
    np.testing.assert_allclose(flow, expected, atol=2e-3)


def test_only_things_move_under_a_still_camera():
    clip = render_clip(dataclasses.replace(STILL, moving=1.0, density=1.5), 5)
    moves = np.hypot(*np.moveaxis(clip.flow_backward[0], -1, 0)) > 1e-3
    names = {CLASSES.names[k] for k in np.unique(clip.labels[1][moves])}
    assert names and names <= {"person", "vehicle", "vegetation"}
    fixed = np.isin(clip.labels[1], [CLASSES.names.index(k) for k in ("road", "building", "sky")])
    assert not moves[fixed].any()


def surfaces(config, seed):
    """Which patch each pixel of each frame shows, ``[N, H, W]``."""
    town, rng = build_town(config.town), np.random.default_rng([seed, 2])
    scene = lay_scene(config, town, rng)
    camera = drive(config, scene.road, rng)
    size = (config.height, config.width)
    views = [look(scene, camera, k, *size) for k in range(config.frames)]
    return np.stack([render.cast(scene, view, *size).ids[0] for view in views])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_there_and_back_ends_at_home(seed):
    clip, ids = render_clip(SMALL, seed), surfaces(SMALL, seed)
    h, w = clip.labels.shape[1:]
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    for here, there, flow, back, visible in both_ways(clip):
        px, py = x + flow[..., 0], y + flow[..., 1]
        inside = visible & (px >= 0) & (px < w - 1) & (py >= 0) & (py < h - 1)
        px, py = np.where(inside, px, 0), np.where(inside, py, 0)
        x0, y0 = np.floor(px).astype(int), np.floor(py).astype(int)
        corners = [(y0 + j, x0 + i) for j in (0, 1) for i in (0, 1)]
        # Between corners of several surfaces a bilinear look-up means nothing.
        whole = inside & np.all([ids[there][c] == ids[here] for c in corners], axis=0)
        fx, fy = px - x0, py - y0
        weights = [(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx]
        home = flow + sum(k[..., None] * back[c] for k, c in zip(weights, corners, strict=True))
        assert whole.mean() > 0.4
        assert np.hypot(*np.moveaxis(home, -1, 0))[whole].max() < 0.05


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_flow_carries_labels_and_colours_to_the_other_frame(seed):
    clip = render_clip(dataclasses.replace(SMALL, speed=0.9, **CLEAN), seed)
    h, w = clip.labels.shape[1:]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    for here, there, flow, _, visible in both_ways(clip):
        assert visible.mean() > 0.6
        labels = clip.labels[there][landing(flow)]
        same = labels == clip.labels[here]
        ground = np.isin(clip.labels[here], GROUND)
        # A patch has one class, but for the ground: there the nearest pixel may lie across a line.
        assert same[visible & ~ground].all()
        assert same[visible & ground].mean() > 0.95
        warped = cv2.remap(
            clip.frames[there],
            x + np.nan_to_num(flow[..., 0]),
            y + np.nan_to_num(flow[..., 1]),
            cv2.INTER_LINEAR,
        )
        error = np.abs(warped.astype(int) - clip.frames[here]).mean(-1)
        wrong = np.abs(clip.frames[there].astype(int) - clip.frames[here]).mean(-1)
        assert np.median(error[visible]) < 3.0
        assert error[visible].mean() < 0.75 * wrong[visible].mean()


def test_what_enters_the_picture_is_not_visible():
    clip = render_clip(SMALL, 0)
    enters = 0
    for _, _, flow, _, visible in both_ways(clip):
        h, w = visible.shape
        x, y = np.arange(w) + flow[..., 0], np.arange(h)[:, None] + flow[..., 1]
        outside = ~((x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5))
        assert not visible[outside].any()
        enters += outside.sum()
    assert enters > 0


def test_every_class_occurs_and_no_other():
    config = dataclasses.replace(SMALL, height=80, width=144, frames=1)
    seen = np.concatenate([np.unique(render_clip(config, seed).labels) for seed in range(12)])
    assert set(seen.tolist()) == set(range(CLASSES.num_classes))


@pytest.mark.parametrize("height, width", [(17, 31), (1, 1), (2, 64), (48, 3)])
def test_odd_and_tiny_sizes(height, width):
    clip = render_clip(SyntheticConfig(height=height, width=width, frames=2, town=0), 0)
    assert clip.frames.shape == (2, height, width, 3)
    assert clip.flow_backward.shape == (1, height, width, 2)
    assert (clip.labels >= 0).all() and (clip.labels < CLASSES.num_classes).all()


def test_one_frame_has_no_flow():
    clip = render_clip(dataclasses.replace(SMALL, frames=1), 0)
    assert clip.flow_backward.shape == (0, 56, 96, 2)


def test_towns_share_their_looks_and_differ_from_each_other():
    assert build_town(7).kinds == build_town(8).kinds
    assert (build_town(7).atlas.sheet != build_town(8).atlas.sheet).any()
    shared = [render_clip(dataclasses.replace(SMALL, town=7), seed).labels for seed in (1, 2)]
    assert (shared[0] != shared[1]).any()


@pytest.mark.parametrize(
    "options", [{"height": 0}, {"frames": 0}, {"jpeg": 101}, {"noise": -1.0}, {"focal": 0.0}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="synthetic"):
        SyntheticConfig(**options)
