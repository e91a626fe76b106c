"""What crops cost against the step that takes them."""

from benchmarks import input as input_benchmark
from wrp_jax.config import SegmentationConfig


def test_crops_are_read_cut_and_taken(capsys):
    options = SegmentationConfig()
    options.sampling.crop = (32, 32)
    options.optimiser.batch_size = 2
    found = input_benchmark.measure(options, (32, 48), 6, with_step=False)
    assert set(found) == {"reading", "cutting", "through the pipeline"}
    assert all(value > 0 for value in found.values())
