"""Warp-Refine Propagation in JAX: label one frame, get the other twenty.

In a notebook::

    import wrp_jax

    result = wrp_jax.propagate(frames, {10: label}, ["road", "car", "void"])  # motion alone
    result.labels, result.confidence  # [n, h, w] each

    model = wrp_jax.fit(frames, {10: label}, ["road", "car", "void"], workdir="RUN")
    model = wrp_jax.load("RUN")
    for frame in model.propagate(frames, {10: label}):  # warp-refine
        frame.frame, frame.labels, frame.confidence

Frames are uint8 RGB ``[n, h, w, 3]``, labels hold the ids of your classes, and so do results.
``train.py`` and ``propagate.py`` do the same with files. Names are imported when they are first
asked for: ``import wrp_jax`` alone does not start JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wrp_jax.api.fit import fit
    from wrp_jax.api.model import Model, load, propagate
    from wrp_jax.api.results import FrameLabels, VideoLabels, collect
    from wrp_jax.config import Config
    from wrp_jax.data.arrays import ArraySource
    from wrp_jax.data.class_map import class_map
    from wrp_jax.data.open_source import open_source
    from wrp_jax.types import ClassMap, UserError

__version__ = "0.1.0"
__all__ = [
    "ArraySource",
    "ClassMap",
    "Config",
    "FrameLabels",
    "Model",
    "UserError",
    "VideoLabels",
    "class_map",
    "collect",
    "fit",
    "load",
    "open_source",
    "propagate",
]

_HOMES = {
    **dict.fromkeys(("Model", "load", "propagate"), "wrp_jax.api.model"),
    **dict.fromkeys(("FrameLabels", "VideoLabels", "collect"), "wrp_jax.api.results"),
    **dict.fromkeys(("ClassMap", "UserError"), "wrp_jax.types"),
    "fit": "wrp_jax.api.fit",
    "Config": "wrp_jax.config",
    "ArraySource": "wrp_jax.data.arrays",
    "class_map": "wrp_jax.data.class_map",
    "open_source": "wrp_jax.data.open_source",
}


def __getattr__(name: str) -> Any:
    """Imports a name of ``__all__`` from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'wrp_jax' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
