"""Is the most reliable flow at each step a better chain for labels than composed flow?

python -m experiments.reliable_chain NAME=DATA:WINDOWS... [--record=reliable_chain]

At each frame a pixel may come from the frame before (step), from five frames before (stride), or
directly from the labelled one. The first two go on along the chain that was chosen there. Chosen
is, pixel by pixel, what has the smallest photometric error against the labelled frame (mean of 5x5
pixels), or the smallest forward-backward error, summed along the chain; the chain goes on from the
choice. MFT (Neoral et al., WACV 2024) tracks points so, by flows over more intervals and a learnt
uncertainty.

Finding: by photometric error it is well ahead on Chen and DAVIS, and level on CamVid;
results/reliable_chain.json, experiments/notes/carriers.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import read_clip
from wrp_jax.data.windows import choose_windows, window_frames
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.motion.build import build_motion
from wrp_jax.ops.photometric import patch_error
from wrp_jax.ops.warp import compose_flow, consistency_error, vote_labels, warp
from wrp_jax.propagation.carriers import PATCH
from wrp_jax.types import Clip, Motion

NOTE = "mIoU in % of labels moved by motion, void left out"
STRIDE, HORIZON = 5, 10
STEP_FLOW, DIRECT_FLOW, STRIDE_FLOW = range(3)
WAYS = {
    "composed": ((STEP_FLOW,), ""),
    "direct": ((DIRECT_FLOW,), ""),
    "step or direct, photometric": ((STEP_FLOW, DIRECT_FLOW), "photometric"),
    "all, photometric": ((STEP_FLOW, DIRECT_FLOW, STRIDE_FLOW), "photometric"),
    "all, consistent": ((STEP_FLOW, DIRECT_FLOW, STRIDE_FLOW), "consistent"),
}
"""Name → the flows that are offered, and what chooses among them."""


class Place(NamedTuple):
    """Where the pixels of a frame come from.

    Attributes:
      flow: into the labelled frame, ``[1, h, w, 2]``.
      error: forward-backward error in pixels, summed along the chain, ``[1, h, w]``.
    """

    flow: Any
    error: Any


@jax.jit
def _onward(flow: Any, reverse: Any, before: Place) -> Place:
    """The chain of an earlier frame, seen through the flow to it."""
    legs = consistency_error(flow, reverse)
    moved, _ = warp(before.error[..., None], flow)
    return Place(compose_flow(flow, before.flow)[0], legs + moved[..., 0])


@jax.jit
def _best(places: Sequence[Place], scores: Sequence[Any]) -> Place:
    """Of each pixel the place with the lowest score."""
    number = jnp.argmin(jnp.stack(scores), axis=0)

    def chosen(*values: Any) -> Any:
        of = jnp.stack(values)
        index = number.reshape(1, *number.shape, *[1] * (of.ndim - number.ndim - 1))
        return jnp.take_along_axis(of, index, axis=0)[0]

    return jax.tree.map(chosen, *places)


_photometric = jax.jit(patch_error, static_argnames="radius")


def chains(clip: Clip, motion: Motion) -> dict[str, list[Any]]:
    """Flows into the labelled frame, which is the first, of every way and every later frame."""
    images = jnp.asarray(clip.stack(range(clip.count)), jnp.float32) / 255.0
    none = jnp.zeros((1, *images.shape[1:3], 2), jnp.float32)
    start = Place(none, none[..., 0])
    kept = {way: [start] for way in WAYS}
    for k in range(1, clip.count):

        def through(place: int, k: int = k) -> tuple[Any, Any]:
            return motion(clip, [k], [place]), motion(clip, [place], [k])

        step, direct = through(k - 1), _onward(*through(0), start)
        stride = through(k - STRIDE) if k > STRIDE else None
        for way, (flows, by) in WAYS.items():
            before = kept[way]
            offered = [_onward(*step, before[k - 1]), direct]
            offered += [_onward(*stride, before[k - STRIDE])] if stride else []
            offered = [offered[flow] for flow in flows if flow < len(offered)]
            if by == "photometric":
                frame = images[k : k + 1]
                scores = [
                    _photometric(frame, images[:1], one.flow, radius=PATCH) for one in offered
                ]
            else:
                scores = [one.error for one in offered]
            before.append(_best(offered, scores))
    return {way: [place.flow for place in places] for way, places in kept.items()}


def measure(data: str, windows_file: str) -> dict[str, dict[str, float]]:
    """Of labels that motion alone carries: mIoU by way and distance."""
    source = open_source(data)
    windows = choose_windows(
        source, windows=windows_file, keyframes=None, key_every=0, horizon=HORIZON
    )
    known, truth = KnownLabels(source, windows), GroundTruth(source)
    motion, count = build_motion(Config().motion), source.classes.num_classes
    total: dict[str, dict[int, np.ndarray]] = {way: {} for way in WAYS}
    vote = jax.jit(vote_labels)
    for window in windows:
        names = window_frames(window, source)
        key = names.index(window.key)
        own = known.label(window.sequence, window.key).astype(np.int32)[None]
        for side in (names[key::-1], names[key:]):
            clip = read_clip(source, window.sequence, side[: HORIZON + 1])
            for way, flows in chains(clip, motion).items():
                for away, flow in enumerate(flows):
                    if away and side[away] in source.label_names(window.sequence):
                        said = np.asarray(vote(own, flow)[0][0])
                        of = total[way]
                        true = truth.label(window.sequence, side[away])
                        of[away] = of.get(away, 0) + confusion(true, said, count)
        print(f"{window.sequence} {window.key}", flush=True)
    found = {
        way: {str(away): 100 * mean_iou(of[away], source.classes.void) for away in sorted(of)}
        for way, of in total.items()
    }
    return {way: {**of, "mean": float(np.mean(list(of.values())))} for way, of in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per set and way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sets", nargs="+", metavar="NAME=DATA:WINDOWS")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    found = {}
    for text in parsed.sets:
        name, _, rest = text.partition("=")
        data, _, windows = rest.rpartition(":")
        found[name] = measure(data, windows)
        for way, values in found[name].items():
            print(f"{name:8s} {way:28s}", *(f"{k}: {v:.1f}" for k, v in values.items()), sep="  ")
    if parsed.record:
        write_result(
            parsed.record, found, note="mIoU in % of labels moved by motion, void left out"
        )


if __name__ == "__main__":
    main()
