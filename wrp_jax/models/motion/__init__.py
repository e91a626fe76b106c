"""f_θ: motion networks and algorithms. ``wrp_jax.flow`` builds one of them from the options."""

from wrp_jax.models.motion.base import Clip, Motion, clip_of

__all__ = ["Clip", "Motion", "clip_of"]
