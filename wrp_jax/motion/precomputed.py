"""Flow that was computed elsewhere, read from files.

::

    DIR/<sequence>/backward/<frame>.flo          on the frame, into the frame before it
    DIR/<sequence>/forward/<frame>.flo           on the frame, into the frame after it
    DIR/<sequence>/into/<source>/<frame>.flo     on the frame, into any other; optional

``.flo``, ``.png`` or ``.npz`` (``data/flow_files.py``). A flow over several frames that has no
file is composed of those between neighbours, which must all be there.
``wrp flow`` writes this layout.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wrp_jax.data.flow_files import SUFFIXES, read_flow
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import window_frames
from wrp_jax.motion.frame_places import FramePlaces
from wrp_jax.ops.warp import compose_flow, warp
from wrp_jax.types import Clip, Motion, UserError, Window, clip_of

_REMEMBERED = 8  # composed flows, so that the next step of a chain adds one leg alone


def flow_stem(
    folder: Path, sequence: str, names: tuple[str, ...], target: int, source: int
) -> Path:
    """Where a flow's file is, but for the suffix.

    Args:
      folder: DIR.
      sequence: name of the sequence.
      names: of consecutive frames.
      target: place of the frame that the flow lives on.
      source: place of the frame that it points into.
    """
    folder = folder / sequence
    if abs(target - source) == 1:
        return folder / ("backward" if target > source else "forward") / names[target]
    return folder / "into" / names[source] / names[target]


def precomputed_motion(folder: Path, elsewhere: Motion) -> Motion:
    """Flow from files, for the frames of a video (``Motion.within`` says which they are).

    Args:
      folder: DIR.
      elsewhere: serves frames that are of no video, such as those of simulated clips.

    Raises:
      UserError: there is no such folder.
    """
    _check_folder(folder)

    def in_clip(clip: Clip) -> Motion:
        if not clip.names:
            return elsewhere.within(clip)
        return Motion(_ClipFlows(folder, clip), in_clip)

    return Motion(elsewhere.pairs, in_clip)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir() or folder == Path():
        raise UserError(
            f"config.motion.folder={str(folder)!r} is no folder: give the one that holds "
            "<sequence>/backward/<frame>.flo and so on."
        )


def check_flows(folder: Path, source: VideoSource, windows: Iterable[Window]) -> None:
    """Looks for the files of all neighbours in the windows, and into the first of each window.

    Raises:
      UserError: no such folder; a file is missing, or of another size than the frames.
    """
    _check_folder(folder)
    for window in windows:
        names = window_frames(window, source)
        if len(names) < 2:
            continue
        frames = np.stack([source.frame(window.sequence, name) for name in names[:2]])
        _ClipFlows(folder, clip_of(frames, window.sequence, names[:2])).flow(1, 0)
        for i in range(1, len(names)):
            for target, into in ((i, i - 1), (i - 1, i)):
                _present(flow_stem(folder, window.sequence, names, target, into))


class _ClipFlows:
    """``pairs`` for the frames of one clip."""

    def __init__(self, folder: Path, clip: Clip):
        self._folder, self._clip = folder, clip
        self._size = clip.frame(0).shape[:2]
        self._places = FramePlaces(clip)
        self._composed: collections.OrderedDict[tuple[int, int], np.ndarray]
        self._composed = collections.OrderedDict()

    def __call__(
        self, target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
    ) -> np.ndarray:
        pairs = [self._places.pair(t, s) for t, s in zip(target, source, strict=True)]
        known = [pair for pair in pairs if pair is not None]
        if len(known) < len(pairs):
            raise ValueError(f"asked for frames that are not of the clip of {self._clip.sequence}")
        flows = np.zeros((len(known), *self._size, 2), np.float32)
        for flow, pair in zip(flows, known, strict=True):
            flow[:] = self.flow(*pair)
        return flows

    def flow(self, target: int, source: int) -> Float[np.ndarray, "h w 2"]:
        """From a file, or composed along the way of the nearest one that there is."""
        step = 1 if target > source else -1
        start = target
        while (flow := self._known(start, source)) is None:
            start -= step
        for place in range(start + step, target + step, step):
            leg = self._known(place, place - step)
            assert leg is not None  # neighbours without a file have been reported by then
            flow = np.asarray(_compose(leg, flow))
            self._composed[place, source] = flow
            while len(self._composed) > _REMEMBERED:
                self._composed.popitem(last=False)
        return flow

    def _known(self, target: int, source: int) -> np.ndarray | None:
        """A flow that needs no composing, or None; UserError for neighbours without a file."""
        if target == source:
            return np.zeros((*self._size, 2), np.float32)
        if (target, source) in self._composed:
            return self._composed[target, source]
        stem = flow_stem(self._folder, self._clip.sequence, self._clip.names, target, source)
        path = _present(stem) if abs(target - source) == 1 else _find(stem)
        if path is None:
            return None
        return read_flow(path, self._size)


@jax.jit
def _compose(flow: Float[Array, "h w 2"], before: Float[Array, "h w 2"]) -> Float[Array, "h w 2"]:
    """``compose_flow``, void where either leg is: NaN would also come out of a weight of zero."""
    known, known_before = (jnp.isfinite(f).all(-1, keepdims=True) for f in (flow, before))
    total, _ = compose_flow(flow[None], jnp.where(known_before, before, 0)[None])
    share, _ = warp(known_before[None].astype(flow.dtype), flow[None])
    return jnp.where(known & (share[0] > 0.999), total[0], jnp.nan)


def _find(stem: Path) -> Path | None:
    paths = (stem.with_name(stem.name + suffix) for suffix in SUFFIXES)
    found = [path for path in paths if path.exists()]
    if len(found) > 1:
        raise UserError(f"There are two flows, {found[0]} and {found[1]}: remove one of them.")
    return found[0] if found else None


def _present(stem: Path) -> Path:
    path = _find(stem)
    if path is None:
        raise UserError(
            f"{stem}{SUFFIXES[0]} is missing (nor is there {' or '.join(SUFFIXES[1:])}): every two "
            "neighbouring frames of a window need a flow in both directions."
        )
    return path
