"""Whether loops that gradients run through are unrolled."""

from __future__ import annotations

import jax


def unroll_for_gradients() -> bool:
    """``unroll`` for a ``jax.lax.scan`` through which gradients of convolutions run.

    True on a CPU: XLA:CPU runs these gradients several times to tens of times slower inside a loop
    (jax-ml/jax#12868). Elsewhere False, which compiles faster and needs less memory.
    """
    return jax.default_backend() == "cpu"
