"""Clips that roll, laid out along the chains of a window."""

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.propagation.chooser import chains, hypotheses
from wrp_jax.propagation.cues import derive, lay_out
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.types import ClassMap, ClipCues, clip_of

H, W = 20, 24
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)


def shifting(shift):
    """A motion that knows how fast the clips of ``clip`` move: frame i shows pixel x at x + i."""

    def motion(clip, targets, sources, initial=None):
        flow = np.zeros((len(targets), H, W, 2), np.float32)
        typical = shift if initial is None else np.median(initial[..., 0], axis=(1, 2))
        flow[..., 0] = np.reshape(typical, (-1, 1, 1))
        return flow

    return motion


def clip(n, shift, seed=0):
    """Noise that rolls to the right with its labels, and a g_ψ that knows nothing of them."""
    rng = np.random.default_rng(seed)
    frame = np.round(rng.random((H, W, 3)) * 255).astype(np.uint8)
    label = rng.integers(0, 2, (H // 4, W // 4)).repeat(4, 0).repeat(4, 1)
    frames = np.stack([np.roll(frame, shift * i, axis=1) for i in range(n)])
    labels = np.stack([np.roll(label, shift * i, axis=1) for i in range(n)])
    still = np.zeros((n - 1, H, W, 2), np.float32)
    probs = np.eye(3, dtype=np.float32)[rng.integers(0, 2, (n, H, W))]
    backward, forward = still.copy(), still.copy()
    backward[..., 0], forward[..., 0] = -shift, shift
    features = np.zeros((n, 1, 1, 0), np.float32)
    return ClipCues(frames, backward, forward, probs, features), labels


def guesses(n, shift, key, **options):
    """Carry, steps, orders, labels and active classes of such a clip."""
    cues, labels = clip(n, shift)
    orders = window_orders(n, key)
    active = hypotheses.active_classes(labels[key], cues.probs)
    long = chains.long_flows(clip_of(cues.frames), cues, orders, shifting(0), **options)
    chain = chains.active_only(lay_out(cues, orders), active)
    steps = hypotheses.StepCues(jax.jit(derive)(chain), long)
    places = np.stack([hypotheses.active_indices(labels[key], active)] * 2)
    key_frames = jnp.asarray(cues.frames[[key, key]])
    carry = hypotheses.init_carry(key_frames, jnp.asarray(places), len(active))
    return carry, jax.tree.map(jnp.asarray, steps), orders, labels, active
