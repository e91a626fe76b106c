import numpy as np
import pytest

from wrp_jax.segmentation.frame_lookup import FrameLookup


class Video:
    name, classes, sequences = "video", None, ("s",)

    def label(self, sequence, name):
        raise AssertionError("nobody asked for labels")

    frame_names = label_names = label

    def __init__(self):
        self.read = []

    def frame(self, sequence, name):
        self.read.append(name)
        return np.full((4, 5, 3), int(name), np.uint8)


def test_finds_frames_and_reads_each_once():
    video = Video()
    lookup = FrameLookup(video, [("s", str(i)) for i in range(9)] + [("s", "0")])
    assert lookup.find(np.full((4, 5, 3), 2, np.uint8)) == ("s", "2")
    assert video.read == ["0", "1", "2"]  # in order, and no further than needed
    assert lookup.find(np.full((4, 5, 3), 1, np.uint8)) == ("s", "1")
    assert lookup.find(np.full((4, 5, 3), 8, np.uint8)) == ("s", "8")
    with pytest.raises(KeyError):
        lookup.find(np.full((5, 4, 3), 1, np.uint8))
    assert len(video.read) == 9
