"""Windows between neighbouring labelled frames, whose frames are labelled from both sides."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import labelled_between
from wrp_jax.types import Window


def between_keyframes(
    windows: Sequence[Window], source: VideoSource, horizon: int, *, further: bool = False
) -> tuple[Window, ...]:
    """Joins the windows around labelled frames to such that lie between two of them.

    A frame is labelled if a labelled frame is at most ``horizon`` frames away, and then from each
    of its two that is at most twice as far: a gap of up to ``2 * horizon`` frames is labelled
    whole, and every frame of it from both sides.

    Args:
      windows: of ``windows_of_keyframes``.
      source: the video.
      horizon: that they were made with.
      further: whether labelled frames beyond those two have a say in the frames that are at most
        twice the horizon away.

    Returns:
      Windows of one labelled frame, as they were, where no other is near; windows of two, which
      are their ends; and those before the first and after the last of them. In the order of the
      source. A labelled frame may end one window and begin the next.
    """
    joined: list[Window] = []
    for _, group in itertools.groupby(windows, key=lambda window: window.sequence):
        own = list(group)
        names = source.frame_names(own[0].sequence)
        places = [names.index(window.key) for window in own]
        near = [b - a <= 3 * horizon for a, b in itertools.pairwise(places)]
        for i, window in enumerate(own):
            before, after = i > 0 and near[i - 1], i < len(near) and near[i]
            if not before and not after:
                joined.append(window)
            elif not before and window.first != window.key:
                joined.append(Window(window.sequence, window.key, window.first, window.key))
            elif not after and window.last != window.key:
                joined.append(Window(window.sequence, window.key, window.key, window.last))
            if after:
                other = own[i + 1].key
                joined.append(
                    Window(window.sequence, window.key, window.key, other, other, horizon)
                )
    return _with_further(joined, windows, source, horizon) if further else tuple(joined)


def _with_further(
    joined: Sequence[Window], windows: Sequence[Window], source: VideoSource, horizon: int
) -> tuple[Window, ...]:
    """The windows, and which labelled frames lie within reach of a frame of them."""
    keys: dict[str, list[str]] = {}
    for window in windows:
        keys.setdefault(window.sequence, []).append(window.key)
    found = []
    for window in joined:
        names = source.frame_names(window.sequence)
        first, last = labelled_between(window, names)
        near = tuple(
            key
            for key in keys[window.sequence]
            if key not in window.keys
            and first <= last
            and max(first - names.index(key), names.index(key) - last) <= 2 * horizon
        )
        more = {"further": near, "horizon": horizon} if near else {}
        found.append(dataclasses.replace(window, **more))
    return tuple(found)
