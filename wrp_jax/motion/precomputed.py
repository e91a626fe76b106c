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
import itertools
from collections.abc import Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wrp_jax import interrupts
from wrp_jax.data.flow_files import SUFFIXES, check_flow, read_flow
from wrp_jax.data.source import VideoSource, frame_size, reading
from wrp_jax.data.windows import window_frames
from wrp_jax.ops.warp import compose_flow, warp
from wrp_jax.types import Clip, Motion, Positions, UserError, Window

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
    """Flow from files, for frames that have names.

    Args:
      folder: DIR.
      elsewhere: serves frames that are of no video, such as those of simulated clips.

    Raises:
      UserError: there is no such folder.
    """
    _check_folder(folder)

    flows = _Flows(folder)

    def motion(
        clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        if not clip.names:
            return elsewhere(clip, targets, sources, initial)
        return flows.between(clip, targets, sources)

    return motion


def _check_folder(folder: Path) -> None:
    if not folder.is_dir() or folder == Path():
        raise UserError(
            f"config.motion.folder={str(folder)!r} is no folder: give the one that holds "
            "<sequence>/backward/<frame>.flo and so on."
        )


def check_flows(folder: Path, source: VideoSource, windows: Iterable[Window]) -> None:
    """Checks the files of all neighbours in the windows, and what ``into/`` holds for them.

    Headers are compared with the frames, and lengths with the headers; vectors are not read.

    Raises:
      UserError: no such folder; a file is missing, cut off or of another size than the frames.
    """
    _check_folder(folder)
    checked: set[Path] = set()
    for window in windows:
        names = window_frames(window, source)
        if len(names) < 2:
            continue
        size = frame_size(source, window.sequence, names[0])
        stems = [
            flow_stem(folder, window.sequence, names, *pair)
            for i in range(1, len(names))
            for pair in ((i, i - 1), (i - 1, i))
        ]
        others = _into(folder / window.sequence / "into", names)
        for path in itertools.chain(map(_present, stems), others):
            if path not in checked:
                interrupts.check()
                check_flow(path, size)
                checked.add(path)


def _into(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Files of flow between frames of a window that are no neighbours."""
    places = {name: place for place, name in enumerate(names)}
    found = []
    for target in names if folder.is_dir() else ():
        into = folder / target
        for path in sorted(into.iterdir()) if into.is_dir() else ():
            apart = abs(places.get(path.stem, places[target]) - places[target])
            if path.suffix in SUFFIXES and apart > 1:
                found.append(path)
    return found


class _Flows:
    """The flows of a folder, by the names of the frames."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._composed: collections.OrderedDict[tuple[str, str, str], np.ndarray]
        self._composed = collections.OrderedDict()

    def between(
        self, clip: Clip, targets: Positions, sources: Positions
    ) -> Float[np.ndarray, "n h w 2"]:
        """Flows of pairs of frames; UserError for a file that is missing or of another size."""
        height, width, _ = clip.frame(0).shape
        flows = np.zeros((len(targets), height, width, 2), np.float32)
        for flow, target, source in zip(flows, targets, sources, strict=True):
            if target != source:
                flow[:] = self._flow(clip, int(target), int(source), (height, width))
        return flows

    def _flow(self, clip: Clip, target: int, source: int, size: tuple[int, int]) -> np.ndarray:
        """From a file, or composed along the way of the nearest one that there is."""
        step = 1 if target > source else -1
        start = target
        # Neighbours without a file are reported, so that this ends.
        while (flow := self._known(clip, start, source, size)) is None:
            start -= step
        for position in range(start + step, target + step, step):
            leg = self._known(clip, position, position - step, size)
            assert leg is not None
            flow = np.asarray(_compose(leg, flow))
            self._composed[clip.sequence, clip.names[position], clip.names[source]] = flow
            while len(self._composed) > _REMEMBERED:
                self._composed.popitem(last=False)
        return flow

    def _known(
        self, clip: Clip, target: int, source: int, size: tuple[int, int]
    ) -> np.ndarray | None:
        """A flow that needs no composing, or None; UserError for neighbours without a file."""
        key = clip.sequence, clip.names[target], clip.names[source]
        if key in self._composed:
            return self._composed[key]
        stem = flow_stem(self._folder, clip.sequence, clip.names, target, source)
        path = _present(stem) if abs(target - source) == 1 else _find(stem)
        if path is None:
            return None
        with reading(clip.names[target]):
            return read_flow(path, size)


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
