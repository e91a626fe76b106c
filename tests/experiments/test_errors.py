"""The error tables that read the output of ``propagate.py``, on one that is made here."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments import errors, oracle
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import open_source
from wrp_jax.data.windows import choose_windows
from wrp_jax.propagation.chooser.hypotheses import HYPOTHESES


@pytest.fixture
def folders(tmp_path):
    """Three frames of two halves; ``motion-only`` is right, the main method wrong in a corner."""
    data, out = tmp_path / "data", tmp_path / "out"
    truth = np.repeat(np.array([10, 20], np.uint8), 30)[None].repeat(40, 0)
    for kind, pixels in (("frames", np.zeros((40, 60, 3), np.uint8)), ("labels", truth)):
        (data / "s" / kind).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(pixels).save(data / "s" / kind / f"{i}.png")
    classes = [{"id": i, "name": str(i), "color": [i, i, i]} for i in (10, 20)]
    (data / "classes.json").write_text(json.dumps({"classes": classes}))
    (data / "windows.txt").write_text("s 1 0 2\n")
    source = open_source(str(data))
    right = source.label("s", "0")
    wrong = right.copy()
    wrong[:4, :5] = 1
    for folder, label in ((out, wrong), (out / "methods" / "motion-only", right)):
        for i in (0, 2):
            LabelWriter(folder, source.classes).write("s", str(i), label, np.ones((40, 60)))
    (out / "metrics.json").write_text(json.dumps({"method": "warp-refine"}))
    return data, out


def test_errors_are_counted_in_their_band(folders, capsys):
    data, out = folders
    errors.main([f"--data={data}", f"--windows={data / 'windows.txt'}", str(out)])
    good, bad = capsys.readouterr().out.splitlines()[1:]
    assert "motion-only: 0.00 wrong" in good
    # 20 of 2400 pixels, all of them more than 10 pixels from the boundary at column 30.
    assert "warp-refine: 0.83 wrong" in bad
    source = open_source(str(data))
    windows = choose_windows(
        source, windows=data / "windows.txt", keyframes=None, key_every=0, horizon=10
    )
    table = errors.shares(errors.count(source, windows, out), (False, False))
    np.testing.assert_allclose(table[:, 0], [10.0, 100 * 14 / 60, 100 * 40 / 60], rtol=1e-6)
    np.testing.assert_allclose(table[:, 1], [0, 0, 100 * 20 / 1600], rtol=1e-6)
    np.testing.assert_allclose(table[:, 2], [0, 0, 100])
    np.testing.assert_allclose(table[:2, 3], 100)


def test_a_perfect_chooser_is_right_where_one_hypothesis_is(rng):
    guesses = rng.integers(0, 4, (5, 6, len(HYPOTHESES)))
    truth = rng.integers(0, 4, (5, 6))
    for names in (("static",), ("stepwise", "segmentation"), HYPOTHESES):
        places = [HYPOTHESES.index(name) for name in names]
        chosen = oracle.oracle(guesses, truth, names)
        for y, x in np.ndindex(truth.shape):
            offered = guesses[y, x, places]
            right = truth[y, x] in offered
            assert chosen[y, x] == (truth[y, x] if right else offered[0])
