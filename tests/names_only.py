"""A source without pictures: windows need names alone."""


class NamesOnly:
    """A source of one sequence ``s`` with numbered frames, as far as windows need one."""

    def __init__(self, names, labelled):
        self.name, self.classes, self.sequences = "names", None, ("s",)
        self._names, self._labelled = tuple(names), frozenset(labelled)

    def frame_names(self, sequence):
        return self._names

    def label_names(self, sequence):
        return self._labelled

    def frame(self, sequence, name):
        raise NotImplementedError

    def label(self, sequence, name):
        raise NotImplementedError
