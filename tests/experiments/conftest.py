"""What several experiments are tried on."""

import json

import numpy as np
import pytest

from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import open_source
from wrp_jax.data.windows import choose_windows


@pytest.fixture
def labelled_street(tmp_path):
    """A street of five frames; warp-refine is right, motion-only says the given label again."""
    source = open_source("synthetic:clips=1,frames=5,height=32,width=64")
    (window,) = choose_windows(source, windows=None, keyframes=None, key_every=5, horizon=2)
    given = source.label(window.sequence, window.key)
    for name in source.frame_names(window.sequence):
        truth = source.label(window.sequence, name)
        for folder, label in ((tmp_path, truth), (tmp_path / "methods" / "motion-only", given)):
            LabelWriter(folder, source.classes).write(
                window.sequence, name, label, np.ones(truth.shape)
            )
    (tmp_path / "metrics.json").write_text(json.dumps({"method": "warp-refine"}))
    return source, window, tmp_path
