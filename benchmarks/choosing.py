"""One step of warp-refine in tiles that hold a dispute, against the whole frame.

python -m benchmarks.choosing --data=D --windows=FILE --workdir=RUN
python -m benchmarks.choosing

``RUN`` is a workdir of ``train.py``; steps of the first windows are timed with the networks in it.
Without them: what XLA sets aside for a step at 2160x3840, which needs no data.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import compare, report, threads
from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import read_clip
from wrp_jax.data.windows import choose_windows, window_frames
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation.along_chains import mask_options
from wrp_jax.propagation.chooser.agreement import reliability_of
from wrp_jax.propagation.chooser.chains import step_cues, walk_chain
from wrp_jax.propagation.chooser.choose import choose_step, tile_size
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    LongFlows,
    StepCues,
    active_classes,
    active_indices,
    advance,
    class_features,
    compact,
    frame_features,
    guess,
    in_dispute,
    init_carry,
)
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.propagation.window_cues import MadeCues
from wrp_jax.runs.refiner import load_refiner
from wrp_jax.runs.segmentation import load_segmenter
from wrp_jax.types import Cues

_MASK = mask_options(Config().propagation)
_STEPS = 5  # frames from the labelled one
_TILE = (120, 120)


def timing(data: str, windows_file: str, workdir: Path, count: int) -> dict[str, dict[str, float]]:
    """Prints and returns how long a step takes both ways, and how much is in dispute."""
    found = {}
    config, source = Config(), open_source(data)
    windows = choose_windows(
        source, windows=windows_file, keyframes=None, key_every=0, horizon=_STEPS
    )
    known, motion = KnownLabels(source, windows), build_motion(config.motion)
    segment = load_segmenter(workdir, config, source, windows, known)
    network, variables, _, expected = load_refiner(workdir, config, source.classes)
    assert expected is not None
    step = jax.jit(
        functools.partial(choose_step, mask=_MASK, recursive=False),
        static_argnums=0,
        static_argnames="tile",
    )
    for window in windows[:: max(1, len(windows) // count)][:count]:
        names = window_frames(window, source)
        key = names.index(window.key)
        first, last = max(0, key - _STEPS), min(len(names), key + _STEPS + 1)
        clip = read_clip(source, window.sequence, names[first:last])
        cues, key = MadeCues(clip, motion, segment), key - first
        label = known.label(window.sequence, window.key)
        active = active_classes(label, segment(clip, [key, clip.count - 1])[0])
        places = np.stack([active_indices(label, active)] * 2)
        frames = jnp.asarray(clip.stack([key] * 2))
        carry = init_carry(frames, jnp.asarray(places), len(active))
        orders = window_orders(clip.count, key)
        for chain, long in walk_chain(cues, orders, active, motion):
            now = jax.jit(step_cues)(chain, long)
            before, carry = carry, jax.jit(advance)(carry, now)
        disputed = np.asarray(in_dispute(carry, now))
        trust = compact(reliability_of(cues, [(key, label)], expected).T, active).T
        arguments = network, variables, jnp.asarray(np.stack([trust] * 2)), before, now
        height, width = label.shape
        tile = min(_TILE[0], height), min(_TILE[1], width)
        times = compare(
            {
                "tiles": lambda a=arguments, tile=tile: step(*a, tile=tile),
                "whole": lambda a=arguments, size=(height, width): step(*a, tile=size),
            },
            rounds=5,
        )
        used = "whole" if tile_size(height, width, len(active)) == (height, width) else "tiles"
        title = (
            f"{window.sequence} {height}x{width}, {len(active)} classes: {disputed.mean():.1%} of "
            f"the pixels in dispute; {used} by default; {threads()} threads"
        )
        report(title, times, "tiles", "whole", 1)
        found[f"{window.sequence} {window.key}"] = {**times, "disputed": 100 * disputed.mean()}
    return found


def memory(height: int = 2160, width: int = 3840, classes: int = 4) -> dict[str, float]:
    """Prints what XLA sets aside for one step, and returns it in MB by the parts of the frame."""
    network = build_refiner(Config().refiner)
    frame = 2, height, width

    def array(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    flow, scalar = array(*frame, 2), array(*frame)
    label = array(*frame, dtype=jnp.int32)
    carry: Carry = jax.eval_shape(
        functools.partial(init_carry, num_classes=classes), array(*frame, 3, dtype=jnp.uint8), label
    )
    short = Cues(
        image=array(*frame, 3), flow=flow, valid=scalar, photometric=scalar, consistency=scalar,
        probs=array(*frame, classes), features=array(2, 1, 1, 0), active=array(2),
    )  # fmt: skip
    cues = StepCues(short, LongFlows(flow, flow, flow))
    known = array(2, classes, 2)

    def init(carry: Carry, cues: StepCues, known: jax.Array) -> Any:
        seen = guess(advance(carry, cues), cues)
        inputs = seen.votes, frame_features(seen), class_features(seen, known)
        return network.init(jax.random.key(0), *inputs)

    variables = jax.eval_shape(init, carry, cues, known)
    found = {}
    for tile in (tile_size(height, width, classes), (height, width)):
        step = functools.partial(choose_step, network, mask=_MASK, recursive=False, tile=tile)
        program = jax.jit(step).lower(variables, known, carry, cues).compile()
        used = program.memory_analysis()
        sizes = (used.temp_size_in_bytes, used.argument_size_in_bytes, used.output_size_in_bytes)
        print(
            f"{height}x{width}, parts of {tile[0]}x{tile[1]}: "
            "{:.0f} MB set aside, arguments {:.0f} MB, results {:.0f} MB".format(
                *(size / 1e6 for size in sizes)
            ),
            flush=True,
        )
        found[f"{tile[0]}x{tile[1]}"] = sizes[0] / 1e6
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--windows", "--workdir"):
        parser.add_argument(name)
    parser.add_argument("--count", type=int, default=3, help="windows")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    if parsed.data is None:
        found, note = memory(), "MB that XLA sets aside for a step, by the parts of the frame"
    else:
        found = timing(parsed.data, parsed.windows, Path(parsed.workdir), parsed.count)
        note = "milliseconds of a step; share of the pixels in dispute in %"
    if parsed.record:
        write_result(parsed.record, found, note=note)


if __name__ == "__main__":
    main()
