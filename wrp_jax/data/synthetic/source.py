"""Synthetic clips behind the interface of every video source, rendered when first asked for."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import OrderedDict

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax.data.source import FrameNames
from wrp_jax.data.synthetic.clip import SyntheticClip, render_clip
from wrp_jax.data.synthetic.config import CLASSES, MAX_SEED, SyntheticConfig
from wrp_jax.types import UserError

_MAX_CLIPS = 100_000
CACHE_BYTES = 256 * 2**20
"""Rendered clips kept in memory, per source and process; the last one read always is."""


class SyntheticSource:
    """A ``VideoSource`` (see docs/ARCHITECTURE.md) of rendered clips, every frame labelled.

    Clip i has seed ``seed + i``. Clips beyond ``cache_bytes`` are forgotten, the one that was
    not read for the longest time first, and rendered again when asked for.
    """

    classes = CLASSES

    def __init__(
        self, config: SyntheticConfig, clips: int, seed: int, cache_bytes: int = CACHE_BYTES
    ):
        self.name = "synthetic"
        self.config = config
        self.sequences = tuple(f"clip_{index:03d}" for index in range(clips))
        self._seeds = {name: seed + index for index, name in enumerate(self.sequences)}
        self._frames = FrameNames(f"{index:06d}" for index in range(config.frames))
        self._labelled = frozenset(self._frames)
        self._index = {name: index for index, name in enumerate(self._frames)}
        self._cache: OrderedDict[str, SyntheticClip] = OrderedDict()
        self._cache_bytes = cache_bytes
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        """Travels to worker processes without its clips and its lock."""
        return {**self.__dict__, "_cache": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict) -> None:
        """Comes back with a lock of its own."""
        self.__dict__.update(state, _lock=threading.Lock())

    def seed_of(self, sequence: str) -> int:
        """The seed that a clip is rendered from. Raises ``KeyError`` for an unknown sequence."""
        return self._seeds[sequence]

    def clip(self, sequence: str) -> SyntheticClip:
        """The whole clip, exact flows included. Raises ``KeyError`` for an unknown sequence."""
        seed = self._seeds[sequence]
        with self._lock:
            if sequence not in self._cache:
                self._cache[sequence] = render_clip(self.config, seed)
            self._cache.move_to_end(sequence)
            size = sum(a.nbytes for a in vars(self._cache[sequence]).values())
            while len(self._cache) > max(self._cache_bytes // max(size, 1), 1):
                self._cache.popitem(last=False)
            return self._cache[sequence]

    def frame_names(self, sequence: str) -> tuple[str, ...]:
        """Frame names in order. Raises ``KeyError`` for an unknown sequence."""
        self._seeds[sequence]
        return self._frames

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """A frame, uint8 ``[H, W, 3]``, RGB."""
        return self.clip(sequence).frames[self._index[name]].copy()

    def origin(self, kind: str, sequence: str, name: str) -> tuple[tuple[()], str]:
        """What a picture is rendered from, see ``source_digests``."""
        options = dataclasses.asdict(self.config)
        return (), json.dumps([kind, options, self.seed_of(sequence), self._index[name]])

    def label_names(self, sequence: str) -> frozenset[str]:
        """Names of the frames with a label: all of them."""
        self._seeds[sequence]
        return self._labelled

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """The exact label map of a frame, int32 ``[H, W]``, class indices."""
        return self.clip(sequence).labels[self._index[name]].copy()


def open_synthetic(options: str = "") -> SyntheticSource:
    """Opens a set of synthetic clips.

    Args:
      options: comma-separated ``key=value``: ``clips`` (default 8), ``seed`` of the first clip
        (0), and every field of ``SyntheticConfig``. Unless
        ``town`` is given, all clips lie in the town of ``seed``; ``town=none`` gives each its own.

    Raises:
      UserError: an option is unknown or its value is not of its kind.
    """
    values: dict[str, object] = {}
    known = {field.name: str(field.type) for field in dataclasses.fields(SyntheticConfig)}
    known |= {"clips": "int", "seed": "int"}
    for part in filter(None, (part.strip() for part in options.split(","))):
        key, equals, text = (piece.strip() for piece in part.partition("="))
        if key in values:
            raise UserError(f"synthetic:{options}: {key} is given twice; remove one")
        if not equals or key not in known:
            raise UserError(
                f"synthetic:{options}: {part!r} is no option; write key=value with a key from "
                f"{', '.join(sorted(known))}"
            )
        try:
            values[key] = _parse(known[key], text)
        except ValueError:
            raise UserError(
                f"synthetic:{options}: {key}={text!r} is not of type {known[key]}; correct it"
            ) from None
    clips, seed = int(str(values.pop("clips", 8))), int(str(values.pop("seed", 0)))
    if not 1 <= clips <= _MAX_CLIPS or not 0 <= seed <= MAX_SEED - clips:
        raise UserError(
            f"synthetic:{options}: give 1 to {_MAX_CLIPS} clips and a seed from 0 to "
            f"{MAX_SEED - _MAX_CLIPS}"
        )
    values.setdefault("town", seed)
    return SyntheticSource(SyntheticConfig(**values), clips, seed)  # pyright: ignore[reportArgumentType]


def _parse(kind: str, text: str) -> object:
    if "None" in kind and text.lower() == "none":
        return None
    return float(text) if kind == "float" else int(text)
