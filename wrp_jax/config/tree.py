"""The whole tree of options."""

import dataclasses
from dataclasses import field

from wrp_jax.config.motion import MotionConfig
from wrp_jax.config.motion_training import (
    MotionOptimiser,
    MotionSampling,
    MotionTrainingConfig,
)
from wrp_jax.config.option import Options, option
from wrp_jax.config.propagation import PropagationConfig
from wrp_jax.config.refiner import RefinerConfig
from wrp_jax.config.segmentation import SegmentationConfig
from wrp_jax.config.student import StudentConfig


@dataclasses.dataclass
class Config(Options, path="config"):
    """Everything that training and labelling read."""

    seed: int = option(0, "Of everything that is drawn.", most=2**32 - 1)
    data: str = option(
        "", "Where `--data` is not given; such a config may train inside the output."
    )
    key_every: int = option(
        0, "0: every label found is known; n: that of every n-th frame alone."
    )  # fmt: skip
    stages: tuple[str, ...] = option(
        ("segmentation", "refiner"),
        "What is trained, in this order: `motion`, `segmentation`, `refiner`; or `student`.",
    )
    pseudo: str = option("", "student: the folder that propagate wrote, or the `tfds` in it.")
    test: str = option(
        "", "Score the trained segmentation on the labels of this video or export, or DATA:LIST of "
        "frames; train writes `scores.json`."
    )  # fmt: skip
    workers: int = option(
        0, "Processes that read and cut examples of motion and segmentation. 0: threads."
    )
    sharding: str = option(
        "replicated",
        "Training on several devices: each holds all parameters and the whole state of the "
        "optimiser, or (`fsdp`) a part of them, which takes less memory and more exchange.",
        choices=("replicated", "fsdp"),
    )
    motion: MotionConfig = field(default_factory=MotionConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)
    refiner: RefinerConfig = field(default_factory=RefinerConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    motion_training: MotionTrainingConfig = field(default_factory=MotionTrainingConfig)


def published_raft() -> Config:
    """RAFT's training as published, as far as all of its stages have it in common.

    The small network with ``--config.motion.name=raft_small``.

    Reference: princeton-vl/RAFT, ``train_standard.sh``, ``core/datasets.py``.
    """
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="raft_large"),
        motion_training=MotionTrainingConfig(
            freeze_batch_norm=True,
            sampling=MotionSampling(flips=(0.5, 0.1), jitter=0.4, hue=0.159),
            optimiser=MotionOptimiser(
                loss="sequence",
                gamma=0.85,
                steps=100_000,
                batch_size=6,
                learning_rate=1.25e-4,
                weight_decay=1e-5,
            ),
        ),
    )
