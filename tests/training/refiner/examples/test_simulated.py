"""Simulated clips from a video's own frames and from stills of another source."""

import dataclasses

import numpy as np
import pytest

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.motion.still import zero_motion
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.training.refiner.examples.simulated import simulated_clips
from wrp_jax.types import ClassMap, Window

CLASSES = ClassMap((0, 1), ("left", "right"), np.eye(2, 3, dtype=np.uint8), (False, False))


@dataclasses.dataclass
class Pictures:
    """Sources that are dataclasses and hold arrays, as the folder source does."""

    name: str
    brightness: int = dataclasses.field(compare=False)
    classes: ClassMap = CLASSES
    sequences: tuple[str, ...] = ("s",)

    def frame_names(self, sequence):
        return ("a", "b")

    def label_names(self, sequence):
        return frozenset("ab")

    def frame(self, sequence, name):
        return np.full((40, 48, 3), self.brightness, np.uint8)

    def label(self, sequence, name):
        return np.repeat(np.arange(48) // 24, 40).reshape(48, 40).T.astype(np.int32)


def segment(clip, positions):
    n, (h, w, _) = len(positions), clip.frame(0).shape
    return np.full((n, h, w, 2), 0.5, np.float32), np.zeros((n, 5, 6, 3), np.float32)


@pytest.mark.parametrize(("key_share", "brightness"), [(1.0, 60), (0.0, None)])
def test_clips_come_from_the_video_and_from_stills(key_share, brightness):
    # The same folder opened twice: equal in all that can be compared, but not one source.
    copy = dataclasses.replace(CLASSES, colors=CLASSES.colors.copy())
    video, stills = Pictures("camvid", 60), Pictures("camvid", 180, copy)
    known = KnownLabels(video, [Window("s", "a", "a", "b")], [(stills, [("s", "a"), ("s", "b")])])
    clips = list(
        simulated_clips(
            np.random.default_rng(0), known, [], np.array([1.0]), zero_motion(), segment,
            count=8, keys=[0], key_share=key_share, options=SimulationOptions(steps=10, gain=0.0),
        )
    )  # fmt: skip
    levels = {round(clip.frames[0].mean() / 60) for clip in clips}
    assert levels == ({1} if brightness else {1, 3})
    for clip in clips:
        assert len(clip.frames) == 11
        assert clip.labels.shape == clip.frames.shape[:3]
        assert [
            sum(a <= s <= b for s in clip.steps) for a, b in ((1, 2), (3, 5), (6, 8), (9, 10))
        ] == [1] * 4
