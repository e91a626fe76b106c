"""All options, as a tree of dataclasses. ``configs/*.py`` return one of these trees.

``docs/OPTIONS.md`` lists them; bounds and help stand beside each field.
"""

from wrp_jax.config.check import check, check_key
from wrp_jax.config.motion import MotionConfig
from wrp_jax.config.motion_training import MotionOptimiser, MotionSampling, MotionTrainingConfig
from wrp_jax.config.moved import translated
from wrp_jax.config.propagation import PropagationConfig
from wrp_jax.config.refiner import DoubtConfig, RefinerConfig
from wrp_jax.config.segmentation import (
    SegmentationConfig,
    SegmentationInference,
    SegmentationNetwork,
    SegmentationOptimiser,
    SegmentationSampling,
    inference_options,
    published_protocol,
)
from wrp_jax.config.student import StudentConfig
from wrp_jax.config.tree import Config, published_raft

__all__ = [
    "Config",
    "DoubtConfig",
    "MotionConfig",
    "MotionOptimiser",
    "MotionSampling",
    "MotionTrainingConfig",
    "PropagationConfig",
    "RefinerConfig",
    "SegmentationConfig",
    "SegmentationInference",
    "SegmentationNetwork",
    "SegmentationOptimiser",
    "SegmentationSampling",
    "StudentConfig",
    "check",
    "check_key",
    "inference_options",
    "published_protocol",
    "published_raft",
    "translated",
]
