"""Clips that roll, laid out along the chains of a window."""

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.propagation.chooser import chains, hypotheses
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.types import ClassMap, ClipCues, Motion

H, W = 20, 24
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)


def shifting(shift):
    """A motion that knows how fast the clips of ``clip`` move: frame i shows pixel x at x + i."""

    def pairs(target, source, initial=None):
        flow = np.zeros((*target.shape[:3], 2), np.float32)
        typical = shift if initial is None else np.median(initial[..., 0], axis=(1, 2))
        flow[..., 0] = np.reshape(typical, (-1, 1, 1))
        return flow

    return Motion(pairs)


def clip(n, shift, seed=0):
    """Noise that rolls to the right with its labels, and a g_ψ that knows nothing of them."""
    rng = np.random.default_rng(seed)
    image = np.round(rng.random((H, W, 3)) * 255).astype(np.float32) / 255
    label = rng.integers(0, 2, (H // 4, W // 4)).repeat(4, 0).repeat(4, 1)
    images = np.stack([np.roll(image, shift * i, axis=1) for i in range(n)])
    labels = np.stack([np.roll(label, shift * i, axis=1) for i in range(n)])
    still = np.zeros((n - 1, H, W, 2), np.float32)
    probs = np.eye(3, dtype=np.float32)[rng.integers(0, 2, (n, H, W))]
    backward, forward = still.copy(), still.copy()
    backward[..., 0], forward[..., 0] = -shift, shift
    features = np.zeros((n, 1, 1, 0), np.float32)
    return ClipCues(images, backward, forward, probs, features), labels


def guesses(n, shift, key, **options):
    """Carry, steps, orders, labels and active classes of such a clip."""
    cues, labels = clip(n, shift)
    frames = np.round(cues.images * 255).astype(np.uint8)
    orders = window_orders(n, key)
    active = hypotheses.active_classes(labels[key], cues.probs)
    long = chains.long_flows(frames, cues, orders, shifting(0), **options)
    steps = chains.step_cues(cues, long, orders, active)
    places = np.stack([hypotheses.places_of(labels[key], active)] * 2)
    image = np.stack([cues.images[key]] * 2)
    carry = hypotheses.init_carry(jnp.asarray(image), jnp.asarray(places), len(active))
    return carry, jax.tree.map(jnp.asarray, steps), orders, labels, active
