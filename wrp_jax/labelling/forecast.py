"""How long labelling will take, told before its first window; ``trial`` measures it instead.

What was measured on a server's processor (``python -m benchmarks.pipeline``), in seconds of one
core, goes with the pixels of all frames. Accelerators take less for networks, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from wrp_jax.data.source import frame_size
from wrp_jax.labelling.plan import Plan, WindowJob
from wrp_jax.progress import on_all_cores
from wrp_jax.propagation.carriers import ANCHORED, EVERY
from wrp_jax.propagation.methods import METHODS

METHOD = 0.5e-6
"""Seconds for a pixel by a method: its labels, confidence and overlay, moved and written."""
MOTION, SEGMENTED, REFINED = 0.65e-6, 2e-6, 6e-6
"""The same once for all methods: the flow, the segmentation, and what the refiner looks at."""
VOTES, VOTES_OF_CLASS = 0.5e-6, 0.12e-6
"""Seconds for a pixel by flow voting besides, and for each class more; one core alone does that."""
COMPILING, COMPILING_REFINER = 10.0, 30.0
"""Seconds for programs: of segmentation, and of the refiner besides."""


def labelling_seconds(plan: Plan, jobs: Sequence[WindowJob]) -> float:
    """Seconds that windows take on the cores of this machine.

    Args:
      plan: what is done with them.
      jobs: the windows; without any there is nothing to compile either.
    """
    if not jobs:
        return 0.0
    sizes = frame_pixels(plan, jobs)
    pixels = sum(len(job.names) * sizes[job.window.sequence] for job in jobs)
    anchors = plan.config.propagation.carrier == ANCHORED
    flows = 1.0 + anchors / EVERY
    return seconds_of_pixels(plan.methods, pixels, plan.source.classes.num_classes, flows)


def frame_pixels(plan: Plan, jobs: Sequence[WindowJob]) -> dict[str, int]:
    """Pixels of a frame, by sequence: all frames of one are of one size.

    Args:
      plan: whose video it is.
      jobs: windows of the sequences.
    """
    sizes: dict[str, int] = {}
    for job in jobs:
        sequence = job.window.sequence
        if sequence not in sizes:
            height, width = frame_size(plan.source, sequence, job.window.key)
            sizes[sequence] = height * width
    return sizes


def seconds_of_pixels(
    methods: Sequence[str], pixels: int, classes: int, flows: float = 1.0
) -> float:
    """Seconds for so many pixels by these methods; the programs are compiled in it.

    Args:
      methods: of ``METHODS``.
      pixels: of all frames, labelled ones included.
      classes: how many there are.
      flows: of a frame that labels are moved to.
    """
    facts = [METHODS[name] for name in methods]
    refines = any(method.refines for method in facts)
    segments = refines or any(method.segments for method in facts)
    moves = flows * any(method.moves for method in facts)
    each = METHOD * len(facts) + MOTION * moves + SEGMENTED * segments
    chosen = on_all_cores(pixels * REFINED * refines, at_most=2)  # a thread for each side
    votes = sum(VOTES + VOTES_OF_CLASS * classes for method in facts if method.decides)
    compiling = COMPILING * segments + COMPILING_REFINER * refines
    return compiling + on_all_cores(pixels * each) + chosen + pixels * votes
