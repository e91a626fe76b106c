"""Motion by name: networks equal to the published ones from uint8 frames to flow."""

from __future__ import annotations

import functools

import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.config import MotionConfig
from wrp_jax.models.motion.raft import RaftOutput
from wrp_jax.models.network import Network
from wrp_jax.motion import build, networks
from wrp_jax.motion.build import build_motion
from wrp_jax.motion.sdcnet import sdcnet_motion
from wrp_jax.motion.still import zero_motion
from wrp_jax.types import UserError, clip_of
from wrp_jax.weights import published


@functools.cache
def variables(network):
    found, report = published.fit_state_dict(golden_files.state_dict(network), network)
    assert report.complete, report
    return published.nest(found)


@pytest.fixture(autouse=True)
def one_device(request, monkeypatch):
    """A program for eight devices that share two cores costs eight times as much."""
    if "eight" not in request.node.name:
        monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])


def raft(**options):
    config = MotionConfig(name="raft_small", **options)
    return build_motion(config, variables("raft_small"))


def test_odd_sizes_are_padded_and_cropped_as_published():
    golden = golden_files.arrays("raft_small")
    frames = golden["pad_frames_uint8"]
    flow = raft(iterations=4)(clip_of(frames), [0], [1])
    assert flow.shape == (1, 131, 197, 2) and flow.dtype == np.float32
    assert np.abs(flow - golden["pad_flow_sintel"]).max() <= 1e-3


@pytest.mark.parametrize(("padding", "above"), [({}, 2), ({"padding": "kitti"}, 0)])
def test_rows_are_added_where_the_option_says(monkeypatch, padding, above):
    def apply(variables, first, second, start):
        assert first.shape == (1, 136, 200, 3) and start.shape == (1, 17, 25, 2)
        at = jnp.stack(jnp.meshgrid(jnp.arange(200.0), jnp.arange(136.0)), axis=-1)
        return RaftOutput(at[None], at[None, None])

    monkeypatch.setattr(networks.raft, "build_raft", lambda *_, **__: Network(lambda: None, apply))
    motion = build_motion(MotionConfig(name="raft_large", **padding), {})
    frames = np.zeros((2, 131, 197, 3), np.uint8)
    flow = motion(clip_of(frames), [0], [1])
    assert flow.shape == (1, 131, 197, 2)
    np.testing.assert_array_equal(flow[0, 0, 0], [1, above])


def test_a_first_guess_is_where_raft_starts():
    golden = golden_files.arrays("raft_small")
    frames = golden["frames_uint8"]
    guess = 8 * golden["init_flow_low"].repeat(8, axis=1).repeat(8, axis=2)
    motion = raft(iterations=3)
    flow = motion(clip_of(frames), [0], [1], guess)
    assert np.abs(flow - golden["init_flow_up_3"]).max() <= 1e-3
    guess[0, :4, :4] = np.nan
    assert np.isfinite(motion(clip_of(frames), [0], [1], guess)).all()


def test_one_device_gives_what_eight_give(rng, monkeypatch):
    clip = clip_of(rng.integers(0, 256, (4, 40, 66, 3), dtype=np.uint8))
    many = raft(iterations=2)(clip, [1, 2, 3], [0, 1, 2])
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    one = raft(iterations=2, pairs_per_device=2)(clip, [1, 2, 3], [0, 1, 2])
    np.testing.assert_allclose(many, one, atol=1e-4)
    alone = raft(iterations=2)(clip, [2], [1])
    np.testing.assert_allclose(alone, one[1:2], atol=1e-4)


def test_one_compilation_serves_any_number_of_pairs(rng, monkeypatch):
    traced = []
    program = networks.raft_program

    def counted(config, count):
        inner = program(config, count)

        def run(*arguments):
            traced.append(arguments[1].shape)
            return inner(*arguments)

        return run

    monkeypatch.setattr(networks, "raft_program", counted)
    motion = raft(iterations=1, pairs_per_device=2)
    clip = clip_of(rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    for n in (1, 2, 3):
        assert len(motion(clip, range(n), range(1, n + 1))) == n
    motion(clip, [0], [1], np.zeros((1, 64, 64, 2), np.float32))
    assert traced == [(2, 64, 64, 3)]


def test_a_network_asked_for_no_pair_at_all_gives_no_flow():
    clip = clip_of(np.zeros((1, 40, 66, 3), np.uint8))
    flow = build_motion(MotionConfig(name="refined_dis"))(clip, [], [])
    assert flow.shape == (0, 40, 66, 2) and flow.dtype == np.float32


def test_rafts_program_does_not_grow_with_the_iterations():
    frames = [jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)] * 2
    guess = jax.ShapeDtypeStruct((1, 64, 64, 2), np.float32)

    def length(iterations):
        config = MotionConfig(name="raft_small", iterations=iterations)
        program = jax.jit(networks.raft_program(config, 1))
        return program.lower(variables("raft_small"), *frames, guess).as_text().count("\n")

    assert length(2) == length(12) > 100


def recorded_flow(flows):
    """A flow source that knows pairs of positions, and what it was asked."""
    asked = []

    def motion(clip, targets, sources, initial=None):
        asked.append(list(zip(targets, sources, strict=True)))
        return np.stack([flows[pair] for pair in asked[-1]]).astype(np.float32)

    return motion, asked


def test_sdcnet_finds_the_frame_before_and_gives_the_published_flow():
    golden = golden_files.arrays("sdcnet")
    frames = golden["frames_uint8"][..., ::-1].copy()
    flows = {(1, 0): golden["input_flow_0"][0], (2, 1): golden["input_flow_1"][0]}
    flow, asked = recorded_flow(flows)
    motion = sdcnet_motion(variables("sdcnet"), flow, 1)
    clip = clip_of(frames)
    got = motion(clip, range(1, 3), range(2))
    # The first pair has no frame before it; the second finds its flow among those already made.
    assert asked == [[(1, 0), (2, 1)]]
    assert np.abs(got[1:] - golden["network_output_flow"]).max() <= 5e-4
    alone = motion(clip, [2], [1])
    assert asked[1:] == [[(2, 1)], [(1, 0)]]
    np.testing.assert_allclose(alone[0], got[1], atol=1e-4)
    flow, _ = recorded_flow({(1, 0): flows[2, 1]})
    cut = sdcnet_motion(variables("sdcnet"), flow, 1)(clip_of(frames[1:]), [1], [0])
    assert np.abs(cut - alone).max() > 0.1  # it needs the frame before


def test_prediction_does_not_look_at_the_target(rng):
    frames = rng.integers(0, 256, (3, 30, 40, 3), dtype=np.uint8)
    shapes = published.template("sdcnet_prediction")
    weights = published.nest(
        {path: 0.05 * rng.normal(size=leaf.shape) for path, leaf in shapes.items()}
    )
    still = lambda clip, targets, sources, initial=None: np.ones((len(targets), 30, 40, 2), "f4")  # noqa: E731
    motion = sdcnet_motion(weights, still, 1, sees_target=False)
    flow = motion(clip_of(frames), [2], [1])
    assert flow.shape == (1, 30, 40, 2) and np.isfinite(flow).all()
    other = frames.copy()
    other[2] = rng.integers(0, 256, (30, 40, 3))
    np.testing.assert_array_equal(motion(clip_of(other), [2], [1]), flow)


@pytest.mark.parametrize("bgr", [False, True])
def test_flownet2_is_padded_and_sees_the_colours_in_order(rng, monkeypatch, bgr):
    def apply(variables, first, second):
        assert first.shape[1:3] == (64, 128)
        return np.float32(1) * first[..., :2] - second[..., :2]

    monkeypatch.setattr(networks.flownet2, "build_flownet2", lambda: Network(lambda: None, apply))
    frames = rng.integers(0, 256, (2, 50, 70, 3), dtype=np.uint8)
    flow = networks.flownet2_motion({}, 1, bgr=bgr)(clip_of(frames), [0], [1])
    shown = frames[..., ::-1] if bgr else frames
    expected = shown[:1, ..., :2].astype(np.float32) - shown[1:, ..., :2]
    np.testing.assert_array_equal(flow, expected)


@pytest.mark.parametrize("name", ["sdcnet", "flownet2"])
def test_flownet2_sees_blue_first_in_front_of_sdcnet_alone(monkeypatch, name):
    asked, loaded = [], []

    def flownet2_motion(variables, count, *, bgr=False):
        asked.append((variables, bgr))
        return zero_motion()

    monkeypatch.setattr(build, "flownet2_motion", flownet2_motion)
    monkeypatch.setattr(build, "sdcnet_motion", lambda *_, **__: zero_motion())
    monkeypatch.setattr(build, "load_weights", lambda *what: loaded.append(what) or what[0])
    if name == "flownet2":
        build_motion(MotionConfig(name="flownet2", weights="f.pth"))
    else:
        options = {"flow": "flownet2", "flow_weights": "f.pth"}
        build_motion(MotionConfig(name="sdcnet", weights="s.pth", **options))
    assert loaded[-1:] == [("f.pth", "flownet2")]
    assert asked == [("f.pth", name == "sdcnet")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "raft_small"}, "raft_small has no weights: give --config.motion.weights=FILE"),
        ({"name": "raft_small", "weights": "/none.pth"}, r"/none\.pth cannot be read"),
        ({"name": "farneback"}, "'farneback' is unknown: use one of dis, zero, precomputed"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(options, says):
    with pytest.raises(UserError, match=says):
        build_motion(MotionConfig(**options))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"correlation": "sparse"}, "correlation='sparse' is unknown: use one of auto, all_pairs"),
        ({"dtype": "int8"}, "dtype='int8' is unknown: use one of float32, tf32, bfloat16"),
        ({"padding": "same"}, "padding='same' is unknown: use one of sintel, kitti"),
        ({"iterations": 0}, "iterations=0 must be at least 1"),
        ({"name": "sdcnet", "flow": "flownet2"}, r"give --config\.motion\.flow_weights=FILE"),
        ({"name": "sdcnet", "flow": "raft_small"}, r"give --config\.motion\.flow_weights=FILE"),
        ({"name": "sdcnet", "flow": "sdcnet"}, "needs flow itself"),
        ({"name": "sdcnet", "flow": "x"}, "'x' is unknown"),
    ],
)
def test_options_that_do_not_fit_are_named(options, says):
    with pytest.raises(UserError, match=says):
        build_motion(MotionConfig(**{"name": "raft_small"} | options), {})
