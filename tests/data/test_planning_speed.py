"""A plan takes a time in proportion to its frames: comparisons of names are counted."""

import pickle

import numpy as np
import pytest

from wrp_jax.data import windows
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import FrameNames, TableOfFrames
from wrp_jax.types import ClassMap

FRAMES, EVERY = 4000, 10


class Name(str):
    """A frame's name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other):
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


class Table(TableOfFrames):
    """One sequence ``s``, each tenth frame labelled."""

    name, classes = "table", ClassMap((0,), ("a",), np.zeros((1, 3), np.uint8), (False,))

    def __init__(self):
        names = [Name(f"{i:06d}") for i in range(FRAMES)]
        self._frames = {"s": dict.fromkeys(names)}
        self._labels = {"s": dict.fromkeys(names[EVERY // 2 :: EVERY])}

    def frame(self, sequence, name):
        raise NotImplementedError

    def label(self, sequence, name):
        raise NotImplementedError


@pytest.mark.parametrize("kind", ["every label", "keyframes", "windows"])
def test_the_comparisons_grow_with_the_frames_alone(tmp_path, kind):
    keys, path = range(EVERY // 2, FRAMES, EVERY), tmp_path / "list.txt"
    if kind == "keyframes":
        path.write_text("".join(f"s {key:06d}\n" for key in keys))
    else:
        path.write_text("".join(f"s {key:06d} {key - 5:06d} {key + 4:06d}\n" for key in keys))
    given = {"windows": None, "keyframes": None, kind: path}
    source = Table()
    Name.compared = 0
    chosen = windows.choose_windows(
        source,
        windows=given["windows"],
        keyframes=given["keyframes"],
        key_every=0,
        horizon=EVERY,
    )
    owner = windows.owners(chosen, source)
    KnownLabels(source, chosen)
    assert len(owner) == FRAMES and len(chosen) == len(keys)
    assert all(windows.window_frames(w, source)[0] == w.first for w in chosen)
    assert Name.compared < 20 * FRAMES  # one search through all frames per window: 400 times that


def test_names_of_a_table_are_made_once():
    source = Table()
    assert source.frame_names("s") is source.frame_names("s")
    assert source.label_names("s") is source.label_names("s")


def test_names_are_a_tuple_that_knows_its_places():
    names = FrameNames(("b", "a", "c"))
    assert names == ("b", "a", "c") and names[1:] == ("a", "c")
    assert [names.index(name) for name in names] == [0, 1, 2]
    assert "c" in names and "d" not in names
    with pytest.raises(ValueError, match="not in tuple"):
        names.index("d")
    with pytest.raises(ValueError, match="not in tuple"):
        names.index("b", 1)
    again = pickle.loads(pickle.dumps(names))
    assert type(again) is FrameNames and again == names and again.index("c") == 2
