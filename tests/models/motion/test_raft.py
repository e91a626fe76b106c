"""RAFT equals the published networks, group of layers by group, from reproducible weights.

Tolerances are those of the fixtures' README; measured differences are a tenth and less of them.
"""

from __future__ import annotations

import functools

import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.motion import raft_parts
from wrp_jax.models.motion.raft import SIZES, Raft, build_raft
from wrp_jax.motion.padding import padding_for
from wrp_jax.ops import correlation
from wrp_jax.weights import published

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("compiled_for_users")]

FIXTURES = ["raft_large", "raft_large_torchvision", "raft_small", "raft_small_torchvision"]
FEATURE_TOLERANCE = 2e-4
PIXEL_TOLERANCE = 1e-3


def _network(fixture: str) -> str:
    return fixture.removesuffix("_torchvision")


@functools.cache
def _variables(fixture: str):
    found, report = published.fit_state_dict(golden_files.state_dict(fixture), _network(fixture))
    assert report.complete, report
    return jax.tree.map(jnp.asarray, published.nest(found))


@functools.cache
def _encode(network: str):
    return jax.jit(functools.partial(Raft(SIZES[network]).apply, method="encode"))


@functools.cache
def _refine(network: str):
    """Twelve iterations that return every upsampled flow: one compilation for many checks."""
    module = Raft(SIZES[network], iterations=12)
    return jax.jit(functools.partial(module.apply, method="refine", train=True))


@functools.cache
def _run(fixture: str):
    golden, variables = golden_files.arrays(fixture), _variables(fixture)
    frames = golden["frames_uint8"].astype(np.float32)
    encoded = _encode(_network(fixture))(variables, frames[:1], frames[1:])
    zero = jnp.zeros((1, 16, 24, 2))
    output, hidden = _refine(_network(fixture))(variables, *encoded, zero)
    return golden, encoded, output, hidden


def _mask(fixture, hidden):
    module = raft_parts.update_weights(raft_parts.LARGE)
    weights = module.apply({"params": _variables(fixture)["params"]["update_block"]})
    return raft_parts.upsampling_mask(weights, hidden)


def _close(got, expected, tolerance):
    assert np.abs(np.asarray(got) - expected).max() <= tolerance


@pytest.mark.parametrize("fixture", FIXTURES)
def test_encoders(fixture):
    golden, encoded, _, _ = _run(fixture)
    for name, got in zip(("fmap1", "fmap2", "net0", "context"), encoded, strict=True):
        key = f"{name}_every5"
        if key in golden:
            _close(got[..., ::5], golden[key], FEATURE_TOLERANCE)


@pytest.mark.parametrize("kind", ["all_pairs", "on_the_fly"])
@pytest.mark.parametrize("fixture", FIXTURES)
def test_lookup(fixture, kind):
    golden, (features1, features2, _, _), _, _ = _run(fixture)
    module = Raft(SIZES[_network(fixture)], correlation=kind)
    lookup = module.lookup(features1, features2)
    samples = lookup(coords=jnp.asarray(golden["lookup_coords"]))
    _close(samples[..., ::5], golden["lookup_corr_every5"], FEATURE_TOLERANCE)
    if "corr_first_iter_every5" in golden:
        samples = lookup(coords=raft_parts.pixel_grid(16, 24)[None])
        _close(samples[..., ::5], golden["corr_first_iter_every5"], FEATURE_TOLERANCE)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_iteration(fixture):
    golden, _, output, hidden = _run(fixture)
    low = golden["flow_low_all"]
    _close(output.low_flows[0, 0], low[0], PIXEL_TOLERANCE / 8)
    _close(output.low_flows[:, 0], low, PIXEL_TOLERANCE / 8)
    if "net_last_every5" in golden:
        _close(hidden[..., ::5], golden["net_last_every5"], FEATURE_TOLERANCE)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_full_resolution(fixture):
    golden, _, output, hidden = _run(fixture)
    _close(output.flow, golden["flow_up_12"], PIXEL_TOLERANCE)
    if "flow_up_1" in golden:
        _close(output.flows[0], golden["flow_up_1"], PIXEL_TOLERANCE)
    if "up_mask_last_every5" in golden:
        mask = _mask(fixture, hidden)
        _close(mask[..., ::5], golden["up_mask_last_every5"], PIXEL_TOLERANCE)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_everything_published_uncut(fixture):
    golden = golden_files.whole(fixture)
    _, encoded, output, hidden = _run(fixture)
    lookup = Raft(SIZES[_network(fixture)], correlation="all_pairs").lookup(*encoded[:2])
    features = dict(zip(("fmap1", "fmap2", "net0", "context"), encoded, strict=True))
    features["corr_first_iter"] = lookup(coords=raft_parts.pixel_grid(16, 24)[None])
    features["lookup_corr"] = lookup(coords=jnp.asarray(golden["lookup_coords"]))
    features["net_last"] = hidden
    pixels = {f"flow_up_{k}": output.flows[k - 1] for k in (1, 6, 12)}
    if "up_mask_last" in golden:
        pixels["up_mask_last"] = _mask(fixture, hidden)
    low = {"flow_low_all": output.low_flows[:, 0]}
    inputs = {"frames_uint8", "iters", "lookup_coords"}
    elsewhere = {key for key in golden if key.startswith(("pad_", "init_"))}  # compared whole
    assert set(golden) == inputs | elsewhere | set(features) | set(pixels) | set(low)
    for got, tolerance in (
        (features, FEATURE_TOLERANCE), (pixels, PIXEL_TOLERANCE), (low, PIXEL_TOLERANCE / 8)
    ):  # fmt: skip
        for name, array in got.items():
            assert array.shape == golden[name].shape, name
            assert np.abs(array - golden[name]).max() <= tolerance, name


@pytest.mark.parametrize("fixture", ["raft_large", "raft_small"])
def test_start_from_a_given_flow(fixture):
    golden, encoded, _, _ = _run(fixture)
    initial = jnp.asarray(golden["init_flow_low"])
    output, _ = _refine(fixture)(_variables(fixture), *encoded, initial)
    _close(output.flows[2], golden["init_flow_up_3"], PIXEL_TOLERANCE)


@pytest.mark.parametrize("fixture", ["raft_large", "raft_small"])
def test_odd_sizes_padded_and_cropped_through_the_public_functions(fixture):
    golden = golden_files.arrays(fixture)
    frames = golden["pad_frames_uint8"].astype(np.float32)
    paddings = [padding_for(131, 197, 8, mode=mode) for mode in ("sintel", "kitti")]
    padded = np.stack([padding.pad(jnp.asarray(frames)) for padding in paddings])
    network = build_raft(fixture, iterations=4)
    output = jax.jit(network.apply)(_variables(fixture), padded[:, 0], padded[:, 1])
    for k, (padding, mode) in enumerate(zip(paddings, ("sintel", "kitti"), strict=True)):
        _close(padding.crop(output.flow[k]), golden[f"pad_flow_{mode}"][0], PIXEL_TOLERANCE)


@pytest.fixture(scope="module")
def small_case():
    variables = _variables("raft_small")
    frames = golden_files.arrays("raft_small")["frames_uint8"].astype(np.float32)
    return variables, jnp.asarray(frames[:1, :64, :64]), jnp.asarray(frames[1:, :64, :64])


@pytest.fixture(scope="module")
def trained(small_case):
    """Outputs, batch statistics and gradients of one training step's forward and backward pass."""
    variables, image1, image2 = small_case
    network = build_raft("raft_small", iterations=2)

    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params):
        output, stats = network.apply({"params": params}, image1, image2, train=True)
        return jnp.abs(output.flows).mean(), (output, stats)

    (_, (output, stats)), gradient = jax.jit(loss)(variables["params"])
    return output, stats, gradient


def test_bfloat16_stays_near(small_case, trained):
    network = build_raft("raft_small", iterations=2, dtype=jnp.bfloat16)
    rounded = jax.jit(network.apply)(*small_case).flow
    exact = trained[0].flow
    assert rounded.dtype == jnp.float32
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


def test_training_returns_all_flows_and_gradients_reach_every_weight(trained):
    output, stats, gradient = trained
    assert output.flows.shape == (2, 1, 64, 64, 2)
    assert stats == {}
    np.testing.assert_array_equal(output.flow, output.flows[-1])
    leaves = jax.tree_util.tree_leaves_with_path(gradient)
    # The bias before an instance norm has no effect; every kernel has one.
    assert all(np.abs(g).max() > 0 for path, g in leaves if path[-1].key == "kernel")


def test_batch_statistics_move_only_where_they_are_not_frozen():
    module = raft_parts.Encoder(raft_parts.LARGE, 256, "batch")
    images = jnp.asarray(np.random.default_rng(0).normal(size=(1, 64, 64, 3)), jnp.float32)
    variables = {name: tree["cnet"] for name, tree in _variables("raft_large").items()}
    run = jax.jit(functools.partial(module.apply, train=True, mutable=["batch_stats"]))
    _, changed = run(variables, images)
    before, after = variables["batch_stats"], changed["batch_stats"]
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), before, after)
    assert all(jax.tree.leaves(moved))


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_batch_norm_is_that_of_inference(frozen):
    golden, inferred, _, _ = _run("raft_large")
    module, variables = (
        Raft(SIZES["raft_large"], frozen_batch_norm=frozen),
        _variables("raft_large"),
    )
    run = functools.partial(module.apply, method="encode", train=True, mutable=["batch_stats"])
    frames = golden["frames_uint8"].astype(np.float32)
    trained, changed = jax.jit(run)(variables, frames[:1], frames[1:])
    before, after = (jax.tree.leaves(v["batch_stats"]) for v in (variables, changed))
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    _close(trained[0], inferred[0], FEATURE_TOLERANCE)
    context = np.abs(trained[3] - inferred[3]).max()
    if frozen:
        assert not any(moved) and context <= FEATURE_TOLERANCE
    else:
        assert all(moved) and context > 100 * FEATURE_TOLERANCE


def test_the_lookup_is_chosen_by_size():
    features = jnp.zeros((1, 16, 24, 4))
    volume = Raft(SIZES["raft_small"]).lookup(features, features)
    assert volume.func is correlation.lookup
    # 1024x2048 at stride 8; shapes alone, since the point is not to build it.
    chosen = []
    big = jax.ShapeDtypeStruct((1, 128, 256, 4), jnp.float32)

    def choose(a):
        chosen.append(Raft(SIZES["raft_large"]).lookup(a, a).func)

    jax.eval_shape(choose, big)
    assert chosen == [correlation.lookup_on_the_fly]


def test_sizes_and_options_that_do_not_fit_are_named(small_case):
    variables, image1, image2 = small_case
    with pytest.raises(ValueError, match="not 60x64"):
        build_raft("raft_small").apply(variables, image1[:, :60], image2[:, :60])
    with pytest.raises(ValueError, match="on_the_fly"):
        build_raft("raft_small", correlation="sparse")
