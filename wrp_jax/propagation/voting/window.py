"""Labels a window by iterative flow voting, round by round; what was said waits in files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import Float, Int

from wrp_jax import interrupts
from wrp_jax.config import PropagationConfig
from wrp_jax.propagation.along_chains import BUCKET, CHUNK_BYTES
from wrp_jax.propagation.array_file import Arrays, array_store
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.rollout import rollout_chunked
from wrp_jax.propagation.voting.votes import (
    LONG,
    ROUNDS,
    SHORT,
    Steps,
    Ways,
    longer_flow,
    moved_votes,
    shares,
    side_weights,
    votes_along,
)
from wrp_jax.propagation.window_cues import window_chain

_longer = jax.jit(longer_flow)
_Store = Callable[[], Arrays]


def flow_voting(config: PropagationConfig, window: LabelledWindow) -> Iterator[FramePrediction]:
    """Labels a window by iterative flow voting, see ``votes.py``.

    A frame that one labelled frame alone reaches has the two votes of that one. Memory does not
    grow with the window; its scratch folder takes ``32 + 8 c`` more bytes per pixel and frame.

    Args:
      config: ``horizon`` is the most steps that are worked out at once.
      window: what is labelled.

    Yields:
      Labelled frames first with their own label, and what each says of the other where that is
      asked for; then every other frame within reach once, nearer ones first.

    Raises:
      Interrupted: the program was told to stop, see ``interrupts.check``; it need not wait for the
        rounds.
    """
    yield from map(window.key_frame, window.keys)
    with contextlib.ExitStack() as stack:

        def store() -> Arrays:
            return stack.enter_context(array_store(window.scratch))

        frames = _Frames(window)
        first = _FirstVote(config, window, frames, store)
        yield from first.run()
        votes = first.votes
        if len(window.frames) > SHORT:
            flows, other = _LongFlows(window, frames, store), store()
            for _ in range(ROUNDS):
                for frame in sorted(first.there):
                    interrupts.check()
                    said = votes.read(frame, 1)
                    if frame not in first.keys:
                        said = _gather(frame, votes, flows, first, frames)[None]
                    other.put(frame, said)
                votes, other = other, votes
        outwards = sorted(
            first.there - first.keys, key=lambda frame: abs(frame - window.nearest(frame).index)
        )
        for frame in outwards:
            yield first.decided(frame, votes.read(frame, 1)[0])


class _Frames:
    """Frames as programs take them: filled up to sizes that share their programs."""

    def __init__(self, window: LabelledWindow):
        h, w = window.size
        self.size = -(-h // BUCKET) * BUCKET, -(-w // BUCKET) * BUCKET
        self.extent = np.int32(h), np.int32(w)
        self._rest = (0, self.size[0] - h), (0, self.size[1] - w)

    def filled(self, array: np.ndarray) -> np.ndarray:
        """An array of frames ``[b, h, w, ...]``, filled up with zeros below and on the right."""
        return np.pad(array, ((0, 0), *self._rest, *[(0, 0)] * (array.ndim - 3)))


class _FirstVote:
    """The first vote of every frame, from the labelled ones.

    Attributes:
      votes: shares of each frame, once all have been heard.
      there: frames that have votes, labelled ones among them.
      keys: the labelled ones.
    """

    def __init__(
        self, config: PropagationConfig, window: LabelledWindow, frames: _Frames, store: _Store
    ):
        self._config, self._window, self._frames = config, window, frames
        self._shared = window.reached_by_both()
        self.keys = {key.index for key in window.keys}
        self.there = set[int]()
        self.votes = store()
        self._own, self._heard = (store(), store()), (set[int](), set[int]())

    def run(self) -> Iterator[FramePrediction]:
        """Hears every labelled frame; yields what they say of one another."""
        window, frames, num_classes = self._window, self._frames, self._window.classes.num_classes
        for key in window.keys:
            own = frames.filled(key.label[None])[..., None] == np.arange(num_classes)
            self.votes.put(key.index, own.astype(np.float16))
            self.there.add(key.index)
        labels = frames.filled(np.stack([key.label for key in window.starts]).astype(np.int32))
        step_bytes = 2 * labels[0].size * (2 + 2 + 2 * num_classes) * 4
        chunk = int(np.clip(CHUNK_BYTES // step_bytes, 1, max(1, self._config.horizon)))
        orders = window.orders(-(-(window.orders().shape[1] - 1) // chunk) * chunk)
        if (orders[:, :1] == orders).all():
            return

        def chunks() -> Iterator[Steps]:
            for start in range(0, orders.shape[1] - 1, chunk):
                part = orders[:, start : start + chunk + 1]
                chain = window_chain(window.cues, part, semantics=False, size=frames.size)
                yield Steps(chain.flow, chain.reverse, chain.active)

        still = np.zeros((*labels.shape, 2), np.float32)
        outputs = rollout_chunked(
            lambda ways, steps: votes_along(
                ways, steps, labels, frames.extent, num_classes=num_classes
            ),
            Ways(still, still),
            chunks(),
        )
        for step, both in enumerate((both for output in outputs for both in output), 1):
            interrupts.check()
            for side, key in enumerate(window.starts):
                frame = int(orders[side, step])
                if frame == orders[side, step - 1]:
                    continue  # the chain has reached its end
                if frame in self.keys:
                    said = shares(both[side].astype(np.float32))
                    yield self._labels(frame, said, key.index)
                else:
                    self._hear(frame, side, both[side])

    def _hear(self, frame: int, side: int, said: Float[np.ndarray, "h w c"]) -> None:
        """Takes what one labelled frame says of a frame, and adds both up once both have spoken."""
        self._own[side].put(frame, said[None])
        if frame not in self._shared:
            self.votes.put(frame, shares(said.astype(np.float32))[None])
        elif frame in self.there:
            first, second = (
                np.float32(weight) * self.of_key(frame, side)
                for side, weight in enumerate(side_weights(frame, *sorted(self.keys)))
            )
            self.votes.put(frame, shares(first + second)[None])
        self.there.add(frame)
        self._heard[side].add(frame)

    def of_key(self, frame: int, side: int) -> Float[np.ndarray, "h w c"]:
        """Both votes of the labelled frame before a frame (``side`` 0) or after it (1)."""
        return self._own[side].read(frame, 1)[0].astype(np.float32)

    def stands_in(self, frame: int, over: int, way: int) -> bool:
        """Whether the frame so far away lies beyond a labelled one, which has said something."""
        side = 0 if way < 0 else 1
        key = self._window.starts[side].index
        beyond = frame + over * way <= key if way < 0 else frame + over * way >= key
        return beyond and frame in self._heard[side]

    def decided(self, frame: int, votes: Float[np.ndarray, "h w c"]) -> FramePrediction:
        """The class with the most votes, and which labelled frame is more for it."""
        said = self._labels(frame, votes, self._window.nearest(frame).index)
        if frame not in self._shared:
            return said
        h, w = said.labels.shape
        weights = side_weights(frame, *sorted(self.keys))
        first, second = (
            np.float32(weight)
            * np.take_along_axis(self.of_key(frame, side)[:h, :w], said.labels[..., None], -1)
            for side, weight in enumerate(weights)
        )
        at = [key.index for key in self._window.all_keys]
        places = np.array([at.index(key) for key in sorted(self.keys)], np.int32)
        return said._replace(side=places[(second > first)[..., 0].astype(int)])

    def _labels(self, frame: int, votes: Float[np.ndarray, "h w c"], key: int) -> FramePrediction:
        h, w = self._window.size
        votes = votes[:h, :w].astype(np.float32)
        labels: Int[np.ndarray, "h w"] = votes.argmax(-1).astype(np.int32)
        return FramePrediction(frame, labels, votes.max(-1), np.zeros_like(labels), key=key)


class _LongFlows:
    """Flows over ``SHORT`` and ``LONG`` frames, on every frame, forward and backward in time."""

    def __init__(self, window: LabelledWindow, frames: _Frames, store: _Store):
        """Makes all of them, from flows between neighbours."""
        self._stores = {(over, way): store() for over in (SHORT, LONG) for way in (1, -1)}
        cues = window.cues

        def neighbours(ahead: int, behind: int) -> np.ndarray:
            forward = cues.section(ahead, ahead + 2, semantics=False).flow_forward
            backward = cues.section(behind, behind + 2, semantics=False).flow_backward
            return frames.filled(np.concatenate([forward, backward]))

        start, stop = window.frames.start, window.frames.stop
        for first in range(start, stop - SHORT):
            interrupts.check()
            # Forward from the first frame of the stretch, backward from its last one.
            last = first + SHORT - 1
            flows = neighbours(first, last)
            for i in range(1, SHORT):
                flows = _longer(flows, neighbours(first + i, last - i), frames.extent)
            self._put(SHORT, first, np.asarray(flows))
        for first in range(start, stop - LONG):
            interrupts.check()
            middle = first + SHORT
            begin = np.concatenate([self.read(SHORT, first, 1), self.read(SHORT, first + LONG, -1)])
            onward = np.concatenate([self.read(SHORT, middle, way) for way in (1, -1)])
            self._put(LONG, first, np.asarray(_longer(begin, onward, frames.extent)))

    def _put(self, over: int, first: int, flows: Float[np.ndarray, "2 h w 2"]) -> None:
        self._stores[over, 1].put(first, flows[:1])
        self._stores[over, -1].put(first + over, flows[1:])

    def read(self, over: int, frame: int, way: int) -> Float[np.ndarray, "1 h w 2"]:
        """On a frame, into the one so far ahead (``way`` 1) or behind (-1)."""
        return self._stores[over, way].read(frame, 1)


def _gather(
    frame: int, votes: Arrays, flows: _LongFlows, first: _FirstVote, frames: _Frames
) -> Float[np.ndarray, "h w c"]:
    """Shares of a frame after a round, given those of all frames before it."""
    total = votes.read(frame, 1)[0].astype(np.float32)
    for over in (SHORT, LONG):
        heard = np.zeros((2, *total.shape), np.float32)
        said = np.zeros(heard.shape, np.float16)
        ways = np.full((2, *heard.shape[:-1], 2), np.nan, np.float32)
        asked = []
        for side, way in enumerate((-1, 1)):
            other = frame + way * over
            if first.stands_in(frame, over, way):
                heard[side] = first.of_key(frame, side)
            elif other in first.there:
                asked.append(side)
                said[side] = votes.read(other, 1)[0]
                ways[0, side] = flows.read(over, frame, way)[0]
                ways[1, side] = flows.read(over, other, -way)[0]
        if asked:
            heard[asked] = np.asarray(moved_votes(said, *ways, frames.extent))[asked]
        total += heard[0] + heard[1]  # their order plays no part
    return shares(total)
