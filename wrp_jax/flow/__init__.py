"""f_θ ready for use: from options to flow between frames, by network, algorithm or files."""

from wrp_jax.flow.build import build_motion

__all__ = ["build_motion"]
