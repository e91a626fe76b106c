"""Stage "motion": f_θ from true flow, or from the frames of a video alone."""

import dataclasses
import math
from dataclasses import field

from wrp_jax.config.option import Options, option, share


@dataclasses.dataclass
class MotionSampling(Options, path="config.motion_training.sampling"):
    """Which pairs are trained on, and how they are changed."""

    crop: tuple[int, int] = option(
        (256, 320), "Height and width of the crops; no larger than the frames.", least=1
    )
    sparse: bool = option(False, "sequence: true flow is known at single pixels (KITTI).")
    scale: tuple[float, float] = option(
        (-0.2, 0.5),
        "sequence: enlargement from and to, as powers of two.",
        least=-math.inf,
        ascending=True,
    )
    flips: tuple[float, float] = share(
        (0.5, 0.1), "sequence: probability of mirroring left and right, and up and down."
    )
    jitter: float = option(
        0.4, "sequence: strength of changes of brightness, contrast and saturation."
    )
    hue: float = option(0.159, "sequence: largest change of hue, in turns.")
    erase: float = share(
        0.5, "sequence: probability of wiping out parts of the second picture."
    )  # fmt: skip
    flying: float = share(
        0.0, "sequence: share of pairs that are made of pieces of the frames, flying."
    )
    keep: int = option(
        0, "sequence: draw so many examples once, then only mirror and crop them. 0: always anew."
    )
    mix: tuple[str, ...] = option(
        (), "sequence: further sets, `COUNT SPEC` and what an entry has of its own: "
        "`wrp_jax/training/motion/mixture.py`."
    )  # fmt: skip


@dataclasses.dataclass
class MotionOptimiser(Options, path="config.motion_training.optimiser"):
    """The loss, and how it is brought down."""

    loss: str = option(
        "unsupervised",
        "`sequence`: true flow (RAFT's); `reconstruction`: of a frame from its neighbours "
        "(SDC-Net's); `unsupervised`: census transform and smoothness.",
        choices=("sequence", "reconstruction", "unsupervised"),
    )
    gamma: float = option(0.8, "Weight of each estimate against the one after it.", above=0)
    smoothness: float = option(4.0, "unsupervised: weight of smoothness.")
    smoothness_order: int = option(
        1, "unsupervised: what is smooth. 1: constant flow, 2: linear flow.", least=1, most=2
    )
    steps: int = option(4000, "Steps.")
    batch_size: int = option(4, "Examples of a step.", least=1)
    learning_rate: float = option(4e-4, "The highest.", above=0)
    schedule: str = option(
        "one_cycle",
        "`one_cycle`: linear up and down; `steps`: a tenth after 1/2 and 9/10 (SDC-Net).",
        choices=("one_cycle", "steps"),
    )
    weight_decay: float = option(1e-4, "Decay of the weights, decoupled from the gradient.")
    clip: float = option(1.0, "Largest norm of the gradient. 0: any.")
    ema_decay: float = option(0.0, "Moving average of the weights. 0: none.", below=1)


@dataclasses.dataclass
class MotionTrainingConfig(Options, path="config.motion_training"):
    """The training of f_θ; its network is ``config.motion``."""

    from_shipped: bool = option(
        False, "Without `motion.weights`: start from those of the package, if there are any."
    )
    iterations: int = option(12, "raft: iterations in training.", least=1)
    freeze_batch_norm: bool = option(
        True, "raft_large: leave batch norm as it is. Published: in every stage but the first."
    )
    sampling: MotionSampling = field(default_factory=MotionSampling)
    optimiser: MotionOptimiser = field(default_factory=MotionOptimiser)
