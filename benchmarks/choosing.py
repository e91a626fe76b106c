"""One step of warp-refine, worked out near disputes, against the chooser at every pixel.

python -m benchmarks.choosing --data=D --windows=FILE --workdir=RUN
python -m benchmarks.choosing

``RUN`` is a workdir of ``train.py``; steps of the first windows are timed with the networks in it.
Without them: what XLA sets aside for a step at 2160x3840, which needs no data.
"""

from __future__ import annotations

import argparse
import functools
import time
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
from wrp_jax.propagation.chooser.choose import choose_step, tile_side
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    LongFlows,
    StepCues,
    active_classes,
    active_indices,
    advance,
    compact,
    guess,
    in_dispute,
    init_carry,
)
from wrp_jax.propagation.chooser.network_inputs import chooser_inputs, init_chooser
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.propagation.window_cues import MadeCues
from wrp_jax.runs.refiner import load_refiner
from wrp_jax.runs.segmentation import load_segmenter
from wrp_jax.types import Cues

_MASK = mask_options(Config().propagation)
_STEPS = 5  # frames from the labelled one


def timing(data: str, windows_file: str, workdir: Path, count: int) -> dict[str, dict[str, float]]:
    """Prints and returns the processor's time for a step, and how much is in dispute."""
    found = {}
    config, source = Config(), open_source(data)
    windows = choose_windows(
        source, windows=windows_file, keyframes=None, key_every=0, horizon=_STEPS
    )
    known, motion = KnownLabels(source, windows), build_motion(config.motion)
    segment = load_segmenter(workdir, config, source, windows, known)
    network, variables, _, expected = load_refiner(workdir, config, source.classes)
    assert expected is not None
    step = jax.jit(functools.partial(choose_step, mask=_MASK, recursive=False), static_argnums=0)

    @functools.partial(jax.jit, static_argnums=0)
    def everywhere(network, variables, trust, carry, now):
        found = guess(advance(carry, now), now)
        return network.apply(variables, *chooser_inputs(found, trust))

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
        times = compare(
            {
                "near disputes": lambda a=arguments: step(*a),
                "everywhere": lambda a=arguments: everywhere(*a),
            },
            rounds=5,
            clock=time.process_time,
        )
        title = (
            f"{window.sequence} {height}x{width}, {len(active)} classes: {disputed.mean():.1%} of "
            f"the pixels in dispute; {threads()} threads, CPU time"
        )
        report(title, times, "near disputes", "everywhere", 1)
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

    variables = jax.eval_shape(functools.partial(init_chooser, network), jax.random.key(0))
    found = {}
    for tile in (tile_side(height, width, classes), max(height, width)):
        step = functools.partial(choose_step, network, mask=_MASK, recursive=False, tile=tile)
        program = jax.jit(step).lower(variables, known, carry, cues).compile()
        used = program.memory_analysis()
        sizes = (used.temp_size_in_bytes, used.argument_size_in_bytes, used.output_size_in_bytes)
        print(
            f"{height}x{width}, tiles of {tile} pixels: "
            "{:.0f} MB set aside, arguments {:.0f} MB, results {:.0f} MB".format(
                *(size / 1e6 for size in sizes)
            ),
            flush=True,
        )
        found["whole" if tile == max(height, width) else f"{tile}x{tile}"] = sizes[0] / 1e6
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
        found, note = memory(), "MB that XLA sets aside for a step of warp-refine, by tiles"
    else:
        found = timing(parsed.data, parsed.windows, Path(parsed.workdir), parsed.count)
        note = "CPU milliseconds of a step; share of the pixels in dispute in %"
    if parsed.record:
        write_result(parsed.record, found, note=note)


if __name__ == "__main__":
    main()
