import logging

import jax
import numpy as np

from wrp_jax.labelling.programs import CompiledBySize


def test_a_further_size_that_compiles_is_told(caplog):
    @jax.jit
    def program(x):
        return x + 1

    programs = CompiledBySize()
    with caplog.at_level(logging.WARNING):
        for size in ((2, 3), (2, 3), (4, 3), (4, 3)):
            with programs.of(size, "street"):
                program(np.zeros(size))
        with programs.of((5, 5), "park"):
            program(np.zeros((4, 3)))  # compiled before
    (line,) = caplog.messages  # the first size needs its programs, and those that are there
    assert line.startswith("frames of 3x4 (street) are of a new size: 1 more programs were")
