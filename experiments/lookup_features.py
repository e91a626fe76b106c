"""Does the appearance look-up find better labels by a pretrained encoder's features than by RGB?

python -m experiments.lookup_features --data=D --windows=FILE [--record=NAME]

The label of each window's labelled frame is looked up on the scored frames, around the position
that one long flow of DIS gives, by RGB and by what EfficientNet-Lite0 (ImageNet) says: its first
stages, enlarged, as the six directions in which the two frames vary most, with the variance of RGB.
Every kind of feature is tried with several bandwidths; the best of them is chosen by the truth,
which favours features, since RGB has its default among them. mIoU in % by frames from the labelled
one.

Finding: level with RGB on Chen and DAVIS, behind it on CamVid (results/lookup_features_*.json).
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import read_clip
from wrp_jax.data.windows import choose_windows, owners, window_frames
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.models.segmentation.efficientnet_lite import EfficientNetLite
from wrp_jax.motion.build import build_motion
from wrp_jax.ops.lookup import lookup
from wrp_jax.ops.pixels import unit_range
from wrp_jax.ops.resize import resize
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.training.segmentation.pretrained import initial_variables
from wrp_jax.types import ClassMap

DISTANCES = (1, 3, 5, 7, 10)
BANDWIDTHS = (0.001, 0.003, 0.01, 0.03)
"""In squared units of RGB, 0 … 1; the second is that of the hypotheses."""
DIRECTIONS = 6


def encoder_of(classes: ClassMap):
    """The pretrained encoder: RGB, 0 … 1, to its features, the finest first."""
    options = Config().segmentation
    options.name = "efficient"
    network = build_for_classes(options, classes)
    variables = initial_variables(network, options, classes, jnp.zeros((1, 64, 64, 3)), 0)
    own = {kind: tree["encoder"] for kind, tree in variables.items() if "encoder" in tree}
    return jax.jit(lambda images: EfficientNetLite().apply(own, images, train=False))


def main_directions(
    features: Float[np.ndarray, "n h w f"], variance: float
) -> Float[np.ndarray, "n h w d"]:
    """The directions in which features vary most, scaled to this mean variance."""
    flat = features.reshape(-1, features.shape[-1])
    flat = (flat - flat.mean(0)) / (flat.std(0) + 1e-6)
    _, _, ways = np.linalg.svd(flat[:: max(1, len(flat) // 20000)], full_matrices=False)
    found = flat @ ways[:DIRECTIONS].T
    found *= np.sqrt(variance / (found**2).mean())
    return found.reshape(*features.shape[:-1], -1).astype(np.float32)


def measure(data: str, windows_file: str) -> dict[str, dict[str, float]]:
    """Of looked-up labels: mIoU by kind of feature and bandwidth, then by distance."""
    source, config = open_source(data), Config()
    windows = choose_windows(
        source, windows=windows_file, keyframes=None, key_every=0, horizon=max(DISTANCES)
    )
    known, truth, owner = KnownLabels(source, windows), GroundTruth(source), owners(windows, source)
    motion, encode = build_motion(config.motion), encoder_of(source.classes)
    count = source.classes.num_classes
    look = jax.jit(functools.partial(lookup, num_classes=count))
    total: dict[str, dict[int, np.ndarray]] = {}
    for window in windows:
        names = window_frames(window, source)
        key = names.index(window.key)
        own = known.label(window.sequence, window.key).astype(np.int32)
        for name in truth.scored(window.sequence, window.keys, names):
            away = abs(names.index(name) - key)
            if owner[window.sequence, name] != window or away not in DISTANCES:
                continue
            clip = read_clip(source, window.sequence, [name, window.key])
            flow = motion(clip, [0], [1])
            pictures = np.asarray(unit_range(jnp.asarray(clip.stack([0, 1]))))
            kinds = {"RGB": pictures}
            variance = pictures.var((0, 1, 2)).mean()
            for kind, found in zip(("stride 2", "stride 4"), encode(pictures), strict=False):
                large = np.asarray(resize(found, pictures.shape[1:3]))
                kinds[kind] = main_directions(large, float(variance))
            kinds["RGB and stride 2"] = np.concatenate([pictures, kinds["stride 2"]], -1)
            true = truth.label(window.sequence, name)
            for kind, values in kinds.items():
                for bandwidth in BANDWIDTHS:
                    votes = look(
                        values[:1], values[1:], own[None], flow, bandwidth=np.float32(bandwidth)
                    ).votes[0]
                    said = np.asarray(votes).argmax(-1)
                    of = total.setdefault(f"{kind}, {bandwidth:g}", {})
                    of[away] = of.get(away, 0) + confusion(true, said, count)
        print(f"{window.sequence} {window.key}", flush=True)
    void = source.classes.void
    found = {
        kind: {str(away): 100 * mean_iou(of[away], void) for away in sorted(of)}
        for kind, of in total.items()
    }
    return {
        kind: {**values, "mean": float(np.mean(list(values.values())))}
        for kind, values in found.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per kind of feature and bandwidth."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--windows", required=True)
    record_option(parser)
    parsed = parser.parse_args(arguments)
    found = measure(parsed.data, parsed.windows)
    for kind, values in found.items():
        print(f"{kind:24s}", *(f"{away}: {value:.1f}" for away, value in values.items()), sep="  ")
    if parsed.record:
        write_result(parsed.record, found, note="mIoU in % of looked-up labels, void left out")


if __name__ == "__main__":
    main()
