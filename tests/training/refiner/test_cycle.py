"""Cycles, their crops, and the paper's loss on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.models.refine.pix2pix import build_pix2pix
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.cues import chain_cues
from wrp_jax.propagation.rollout import cycle_order
from wrp_jax.propagation.step import MaskOptions
from wrp_jax.training.refiner.crops import CANDIDATES, CROP, unpack
from wrp_jax.training.refiner.cycle import cycle_crops, cycles
from wrp_jax.training.refiner.pix2pix import label_crops
from wrp_jax.training.refiner.unrolled import chain_loss
from wrp_jax.types import ClassMap, ClipCues, Window

CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)


class Source:
    """Six equal frames of noise under a blocky label, which is known of frame 02 alone."""

    name = "toy"
    classes = CLASSES
    sequences = ("s",)

    def __init__(self, rng, size=(40, 72)):
        self.image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
        blocks = rng.integers(0, 2, (size[0] // 8, size[1] // 8), dtype=np.int32)
        self.truth = blocks.repeat(8, 0).repeat(8, 1)

    def frame_names(self, sequence):
        return tuple(f"{i:02d}" for i in range(6))

    def label_names(self, sequence):
        return frozenset(self.frame_names(sequence))

    def frame(self, sequence, name):
        return self.image

    def label(self, sequence, name):
        assert name == "02", "a label that is not known was read"
        return self.truth


def segment(clip, positions):
    probs = np.full((len(positions), *clip.frame(0).shape[:2], 3), 0.2, np.float32)
    probs[..., 0] = 0.6
    return probs, np.zeros((len(positions), 5, 9, 4), np.float32)


def toy(source, first):
    windows = [Window("s", "02", first, "05")]
    return KnownLabels(source, windows), source, windows


def test_cycles_stay_in_the_window_and_read_the_known_label_alone(rng):
    source = Source(rng)
    drawn = list(
        cycles(
            rng, *toy(source, "01"), zero_motion(), segment,
            count=12, max_length=6,
        )
    )  # fmt: skip
    lengths = {(bool(out[0, 0] == 0), out.shape[1] - 1) for _, out, _, _ in drawn}
    assert lengths <= {(True, 1), (True, 2), (True, 3), (False, 1)} and len(lengths) > 2
    names = source.frame_names("s")
    for cues, out, truth, clip in drawn:
        assert len(cues.frames) == clip.count == out.shape[1] and (truth == source.truth).all()
        first = names.index(clip.names[0])
        assert clip.names == names[first : first + clip.count] and clip.names[out[0, 0]] == "02"


def test_a_cycle_over_a_static_video_returns_the_label(rng):
    source = Source(rng)

    def still(clip, *pairs, **options):
        assert clip.names, "which frames of the video these are was not said"
        return zero_motion()(clip, *pairs, **options)

    drawn, *_ = cycles(
        rng, *toy(source, "00"), still, segment,
        count=1, max_length=3,
    )  # fmt: skip
    assert drawn.out.shape[1] > 2
    known = np.arange(6, dtype=np.float32).reshape(3, 2) / 6
    weights = np.ones(3, np.float32)
    crops = list(cycle_crops(rng, drawn, still, weights, known, crops=3))
    assert len(crops) == 3
    for crop in crops:
        votes = unpack(crop.hypotheses).votes
        assert votes.shape == (CROP, CROP, 9, CANDIDATES)
        # Its candidates are both blocks and what g_ψ says, in the order of their votes.
        assert {tuple(row) for row in crop.reliability} == {(0, 0), *map(tuple, known)}
        # All that moves says the label; only g_ψ does not.
        for place in (0, 1, 2, 3, 4, 5):
            np.testing.assert_array_equal(votes[..., place, :].argmax(-1), crop.label)


def small_cycle(rng, length=2):
    n, h, w = length + 1, 8, 8
    clip = ClipCues(
        frames=rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8),
        flow_backward=rng.normal(size=(n - 1, h, w, 2)),
        flow_forward=rng.normal(size=(n - 1, h, w, 2)),
        probs=rng.dirichlet(np.ones(3), (n, h, w)),
        features=rng.normal(size=(n, 2, 2, 4)),
    )
    label = jnp.asarray(rng.integers(0, 3, (1, h, w)))
    return clip, cycle_order(0, length), label


@pytest.mark.parametrize("unrolled,remat", [(False, False), (True, True)])
def test_gradients_of_the_cycle_loss_match_finite_differences(rng, unrolled, remat, x64):
    clip, order, label = small_cycle(rng)
    network = build_pix2pix(width=2, scales=1, blocks=1)
    cues = chain_cues(clip, order)
    variables = network.init(jax.random.key(0), cues.probs[0], cues.features[0])
    variables = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), variables)

    @jax.jit
    def loss_and_slopes(params, tau):
        def loss(params, tau):
            mask = MaskOptions(tau, softness=0.2)
            both = {**variables, "params": params}
            return chain_loss(
                network, both, cues, label, mask, jnp.ones(3), unrolled=unrolled, remat=remat
            )[0]

        return jax.value_and_grad(loss, argnums=(0, 1))(params, tau)

    def loss(params, tau):
        return loss_and_slopes(params, tau)[0]

    params, tau = variables["params"], jnp.asarray(0.8)
    _, slopes = loss_and_slopes(params, tau)
    step = 1e-6
    rise = (loss(params, tau + step) - loss(params, tau - step)) / (2 * step)
    np.testing.assert_allclose(slopes[1], rise, rtol=1e-4)
    assert abs(float(rise)) > 1e-7
    direction = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), params)
    up, down = (
        loss(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction), tau)
        for s in (step, -step)
    )
    slope = sum(
        jnp.vdot(g, d)
        for g, d in zip(jax.tree.leaves(slopes[0]), jax.tree.leaves(direction), strict=True)
    )
    np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-3)


def test_crops_of_labels_lie_on_the_grid_of_the_features(rng):
    n, h, w = 3, 104, 120
    features = np.arange(13 * 15, dtype=np.float32).reshape(1, 13, 15, 1).repeat(n, 0)
    label = np.arange(h)[:, None] // 8 * 15 + np.arange(w) // 8  # the feature it lies under
    clip = ClipCues(
        frames=np.zeros((n, h, w, 3), np.uint8),
        flow_backward=np.zeros((n - 1, h, w, 2), np.float32),
        flow_forward=np.zeros((n - 1, h, w, 2), np.float32),
        probs=np.full((n, h, w, 250), 1 / 250, np.float32),
        features=features,
    )
    crops = label_crops(rng, clip, np.arange(n)[None], {2: label}, label, MaskOptions(0.5), count=4)
    for crop in crops:
        np.testing.assert_array_equal(crop.truth[::8, ::8], crop.features[..., 0])
        np.testing.assert_array_equal(crop.labels.argmax(-1), crop.truth)


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_features_of_any_stride_lie_where_their_pixels_do(rng, stride):
    n, h, w = 2, 112, 128
    centres = [stride * np.arange(size // stride) + (stride - 1) / 2 for size in (h, w)]
    features = np.stack(np.meshgrid(*centres, indexing="ij"), -1).astype(np.float32)
    label = np.arange(h)[:, None] // 8 * 16 + np.arange(w) // 8  # 8x8 pixels share a label
    clip = ClipCues(
        frames=np.zeros((n, h, w, 3), np.uint8),
        flow_backward=np.zeros((n - 1, h, w, 2), np.float32),
        flow_forward=np.zeros((n - 1, h, w, 2), np.float32),
        probs=np.full((n, h, w, 250), 1 / 250, np.float32),
        features=features[None].repeat(n, 0),
    )
    crops = label_crops(rng, clip, np.arange(n)[None], {1: label}, label, MaskOptions(0.5), count=4)
    for crop in crops:
        block = crop.truth[::8, ::8].astype(int)
        place = 8 * np.stack(np.divmod(block, 16), -1) + 3.5
        # Beyond the centres of the outermost features these are repeated.
        first, last = ([c[end] for c in centres] for end in (0, -1))
        np.testing.assert_array_equal(crop.features, np.clip(place, first, last))
