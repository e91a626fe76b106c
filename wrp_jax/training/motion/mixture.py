"""The sets of a mixture of true flow, each with its own augmentation."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any, NamedTuple

from wrp_jax.config import MotionSampling
from wrp_jax.training.motion.augment import FlowAugmentation
from wrp_jax.types import UserError

OWN = ("scale", "flips", "jitter", "hue", "erase")
"""Options of ``MotionSampling`` that a set may have of its own, besides ``sparse``."""


class FurtherSet(NamedTuple):
    """An entry of ``config.motion_training.sampling.mix``.

    Attributes:
      count: how often the set occurs in one pass.
      spec: what ``open_source`` reads.
      options: those of the training, but for what the entry says of its own.
    """

    count: int
    spec: str
    options: MotionSampling


def further_set(text: str, options: MotionSampling) -> FurtherSet:
    """Reads ``COUNT SPEC [sparse] [scale=A,B] [flips=A,B] [jitter=X] [hue=X] [erase=X]``.

    An entry is dense unless it says ``sparse``; what else it does not say is as in ``options``.

    Raises:
      UserError: it is not written so.
    """
    count, _, rest = text.strip().partition(" ")
    words, own = rest.split(" "), {"sparse": False}
    # From the end, since a path may hold spaces.
    while words and (found := _own_option(words[-1])) is not None:
        own |= found
        words.pop()
    spec = " ".join(words).strip()
    if not count.isdecimal() or int(count) < 1 or not spec:
        raise UserError(
            f"config.motion_training.sampling.mix has {text!r}: write 'COUNT SPEC', a number and "
            f"a set, and after them 'sparse' or its own {', '.join(f'{name}=' for name in OWN)}."
        )
    return FurtherSet(int(count), spec, dataclasses.replace(options, **own))


def augmentation(options: MotionSampling, crop: tuple[int, int]) -> FlowAugmentation:
    """The published augmentation, with the strengths of the options.

    That of sparse flow has one scale for both axes and the same change of colour for both
    pictures (``SparseFlowAugmentor``).
    """
    dense = FlowAugmentation(
        crop=crop,
        scale=options.scale,
        flips=options.flips,
        jitter=(options.jitter, options.jitter, options.jitter, options.hue),
        erase=options.erase,
    )
    if not options.sparse:
        return dense
    return dataclasses.replace(dense, sparse=True, asymmetric=0.0, stretching=0.0)


def _own_option(word: str) -> dict[str, Any] | None:
    """What a word of an entry sets; None if it is a part of the path."""
    if word in ("", "sparse"):
        return {"sparse": True} if word else {}
    name, equals, text = word.partition("=")
    if not equals or name not in OWN:
        return None
    pair = isinstance(getattr(MotionSampling, name), tuple)
    try:
        value: Any = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = None
    numbers: tuple[Any, ...] = value if pair and isinstance(value, tuple) else (value,)
    if len(numbers) != 1 + pair or not all(isinstance(n, int | float) for n in numbers):
        raise UserError(
            f"config.motion_training.sampling.mix has {word!r}: give {name} "
            f"{'two numbers, as in -0.3,0.5' if pair else 'a number'}."
        )
    return {name: tuple(map(float, numbers)) if pair else float(numbers[0])}
