"""Video and labels on the host: where they come from and where results go. No jax in here."""

from wrp_jax.data.known_labels import KnownLabels, LabelledFrame, parse_stills
from wrp_jax.data.source import VideoSource, open_source, validate

__all__ = [
    "KnownLabels",
    "LabelledFrame",
    "VideoSource",
    "open_source",
    "parse_stills",
    "validate",
]
