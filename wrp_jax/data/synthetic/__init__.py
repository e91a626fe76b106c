"""Synthetic street videos with exact labels and exact motion; NumPy and OpenCV only."""

from wrp_jax.data.synthetic.clip import SyntheticClip, render_clip
from wrp_jax.data.synthetic.config import CLASSES, SyntheticConfig
from wrp_jax.data.synthetic.export import write_folder
from wrp_jax.data.synthetic.source import SyntheticSource, open_synthetic

__all__ = [
    "CLASSES",
    "SyntheticClip",
    "SyntheticConfig",
    "SyntheticSource",
    "open_synthetic",
    "render_clip",
    "write_folder",
]
