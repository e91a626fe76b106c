"""Examples that are kept: a run that was stopped goes on behind the last whole clip."""

from typing import NamedTuple

import jax
import numpy as np
import pytest
from training.refiner.toy_video import config, training_data

from wrp_jax.training.refiner.examples import generate
from wrp_jax.training.refiner.examples.example_files import ExampleFiles
from wrp_jax.training.refiner.examples.generate import ExampleGenerator, generate_examples


class Part(NamedTuple):
    votes: np.ndarray
    drift: np.ndarray


class Crop(NamedTuple):
    part: Part
    label: np.ndarray


class Stopped(Exception):
    pass


@pytest.fixture
def run(rng, tmp_path, monkeypatch):
    """``run(stop_at, made_from)``: the examples, and how many clips and cycles were made."""
    monkeypatch.setattr(generate, "measure_speeds", lambda *_: np.array([2.0], np.float32))
    data, options = training_data(rng), config(source="both", clips=3).refiner

    def go(stop_at=None, made_from="this", files=True):
        made = 0

        def examples(rng, _):
            nonlocal made
            if made == stop_at:
                raise Stopped
            made += 1
            for _ in range(2):
                half = rng.uniform(size=(3, 2)).astype(np.float16)
                yield Crop(Part(rng.integers(9, size=4), half), np.float32(rng.uniform()))

        kept = ExampleFiles(tmp_path / "examples", made_from) if files else None
        crops = generate_examples(
            options, 0, data, ExampleGenerator(Crop, examples, examples), kept
        )
        return crops, made

    return go


def same(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)
    kinds = [[type(crop), crop.part.drift.dtype, crop.part.votes.dtype] for crop in first]
    return kinds == [[type(crop), crop.part.drift.dtype, crop.part.votes.dtype] for crop in second]


@pytest.mark.parametrize("stop_at", [1, 4])
def test_stopped_in_a_clip_or_a_cycle_it_goes_on_there(run, stop_at):
    whole, count = run(files=False)
    assert count == 6 and len(whole) == 12
    with pytest.raises(Stopped):
        run(stop_at)
    parts, made = run()
    assert made == count - stop_at
    assert same(whole, parts)
    again, made = run()
    assert made == 0
    assert same(whole, again)


def test_what_is_damaged_or_made_from_something_else_is_made_anew(run, tmp_path):
    whole, count = run()
    files = sorted((tmp_path / "examples").iterdir())
    assert len(files) == count
    content = files[2].read_bytes()
    files[2].write_bytes(content[:-9])
    parts, made = run()
    assert made == 1
    assert same(whole, parts)
    for place in range(0, len(content), len(content) // 16):
        files[2].write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert same(whole, run()[0])
    _, made = run(made_from={"another": [np.ones(2)]})
    assert made == count
    ExampleFiles(tmp_path / "examples", "this").remove()
    assert not (tmp_path / "examples").exists()
