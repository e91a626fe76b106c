"""All options, as a tree of dataclasses. ``configs/*.py`` return one of these trees.

Not frozen: ``--config.key=value`` writes into the tree; an unknown key is refused.
Without ``from __future__ import annotations``: ml_collections reads the types of the fields.
"""

import dataclasses
from dataclasses import field
from typing import Any


@dataclasses.dataclass
class MotionConfig:
    """f_θ: dis, refined_dis, zero, raft_large, raft_small, sdcnet, sdcnet_prediction, flownet2.

    Or precomputed: read from files.
    """

    name: str = "dis"
    preset: str = "fine"  # dis: ultrafast, fast, medium, fine
    weights: str = ""  # networks: a published .pth, or .safetensors of cli/convert_weights.py
    iterations: int = 20  # raft; published: 20 for video, 24 to 32 for scores
    correlation: str = "auto"  # raft: all_pairs, on_the_fly (the same, less memory), auto by size
    dtype: str = "float32"  # raft: or tf32 (GPUs: 4x as fast, 0.004 px off), bfloat16
    padding: str = "sintel"  # raft: to a multiple of 8, above and below; kitti: below alone
    pairs_per_device: int = 0  # networks: at a time; 0: one on a CPU, four elsewhere
    flow: str = "dis"  # sdcnet: whose flows it reads (published: flownet2; or precomputed);
    # precomputed: whose flows serve simulated clips, which have no files
    flow_weights: str = ""  # the weights of that motion
    folder: str = ""  # precomputed: see wrp_jax/motion/precomputed.py


@dataclasses.dataclass
class SegmentationConfig:
    """g_ψ and its training from labelled frames alone; precomputed is read from files."""

    name: str = "light"  # light, hrnet_ocr, hrnet_ocr_mscale, precomputed
    folder: str = ""  # precomputed: <sequence>/probs/*.npz, or labels/*.png and confidence/*.png
    width: int = 0  # channels at the finest stride; 0: the network's own (light 24, HRNet 48)
    max_pixels: int = 480 * 360  # larger frames are segmented (light) and trained on at this size
    scales: tuple[float, ...] = ()  # hrnet_ocr_mscale; (): 0.5 and 1.0
    weights: str = ""  # published (HRNet), to use or train on; RUN/segmentation.npz: train on
    drop_classifier: bool = False  # the file's classes are others: train new last layers
    flip: bool = True  # inference: average with the mirrored image
    average_scales: tuple[float, ...] = ()  # inference: average with these scales of the image
    window: tuple[int, int] = (0, 0)  # inference: look through windows of this height and width
    overlap: float = 0.25  # share of a window that its neighbour sees too
    frames_per_device: int = 0  # inference: at a time, 4 at most; 0: HRNet on a CPU one, else four
    dtype: str = "float32"  # HRNet: or tf32, bfloat16
    remat: bool = False  # HRNet: less memory in training, more time
    accumulate: int = 1  # parts of a batch whose gradients are computed one after the other
    learn_void: bool = False  # predict void as a class; else void pixels are left out of the loss
    epochs: int = 0  # of as many crops as there are labelled frames; 0: steps
    steps: int = 0  # 0: steps_per_frame for each labelled frame, within steps_range
    steps_per_frame: float = 2.0
    steps_range: tuple[int, int] = (300, 2400)
    batch_size: int = 8
    crop: tuple[int, int] = (224, 288)  # height, width; no larger than the frames
    # Enlargement of the crops: what is labelled and its neighbours in time look alike in size.
    scale: tuple[float, float] = (0.85, 1.2)
    augmentation: str = "strong"  # published: scale, flip, colour jitter, blur and nothing else
    blur: float = 0.15  # probability
    key_share: float = 0.4  # of the crops from labelled frames of the video; the rest: stills
    class_share: float = 0.5  # of the crops centred on a class drawn uniformly
    centroid_tile: int = 0  # pixels: on a centroid of the class in a tile; 0: on any of its pixels
    coarse: str = ""  # "coarse_*": of stills in sequences named so, only crops around...
    coarse_classes: tuple[str, ...] = ()  # ... these classes are drawn
    coarse_epochs: int = 0  # for so many epochs, of the other labels; 0: to the end
    loss: str = "weighted"  # cross entropy; rmi, image_weighted, relaxed (at label boundaries)
    aux_weight: float = 0.4
    single_scale_weight: float = 0.0  # networks of several scales; published: 0.05
    optimizer: str = "muon"  # one cycle; sgd: momentum 0.9, the rate falls with each epoch
    learning_rate: float = 3e-3
    poly_power: float = 2.0  # sgd
    weight_decay: float = 1e-2
    ema_decay: float = 0.995  # 0: no moving average
    calibration_share: float = 0.0  # of 40 labelled frames or more: held out to fit a temperature


def inference_options(options: SegmentationConfig) -> dict[str, Any]:
    """What decides, beside the weights, what g_ψ says of a frame; by ``segmentation.<option>``."""
    names = (
        *("name", "max_pixels", "scales", "flip", "average_scales", "window", "overlap"),
        *("dtype", "learn_void"),
    )
    return {f"segmentation.{name}": getattr(options, name) for name in names}


def published_protocol() -> SegmentationConfig:
    """MSA-HRNet-OCR as Tao et al. 2020 train it on Cityscapes, which the paper follows (4.2)."""
    return SegmentationConfig(
        name="hrnet_ocr_mscale",
        max_pixels=2048 * 1024,
        epochs=175,
        batch_size=16,
        crop=(1024, 2048),
        scale=(0.5, 2.0),
        augmentation="published",
        blur=0.0,
        key_share=0.0,
        centroid_tile=1024,
        loss="rmi",
        single_scale_weight=0.05,
        optimizer="sgd",
        learning_rate=1e-2,
        weight_decay=1e-4,
        ema_decay=0.0,
    )


@dataclasses.dataclass
class PropagationConfig:
    """The recursion Ψ. ``carrier``: hard (paper), soft, composed."""

    carrier: str = "composed"
    horizon: int = 10
    tau: float = 0.5  # RGB L2 norm, channels 0..1
    mask: str = "consistent"  # paper: eq. 6 and inside the frame; consistent: and flow leads back
    consistency_pixels: float = 1.5
    inpaint_confidence: float = 0.7  # where flow does not lead back: g_ψ only where surer
    semantic_confidence: float = 0.9
    move_images: bool = False  # motion-only: write the labelled image, moved along, too (images/)


@dataclasses.dataclass
class RefinerConfig:
    """Ω. ``name``: chooser, pix2pix. ``source``: simulated, cycle (the paper's), both."""

    name: str = "chooser"
    source: str = "simulated"
    recursive: bool = False  # refine inside the recursion (eq. 8), or the result of each step only
    unrolled: bool = False  # pix2pix: train with Ω in every step, through the whole chain
    learn_tau: bool = False  # pix2pix: τ of eq. 6 learns along
    clips: int = 72  # simulated clips, or cycles
    jitter: float = 1.5  # simulated: pixels by which annotated borders are off at most; 0: rendered
    crops: int = 4  # per guessed frame
    width: int = 24  # chooser: channels per pixel
    class_width: int = 16  # chooser: channels per pixel and class
    class_convs: int = 2  # chooser: 3x3 convolutions over each class' map; 0 scores pixels alone
    steps: int = 900
    batch_size: int = 8
    learning_rate: float = 2e-3
    max_cycle_length: int = 6


@dataclasses.dataclass
class MotionTrainingConfig:
    """Stage "motion": f_θ from true flow, or from the frames of a video alone.

    ``loss``: sequence (true flow, RAFT's), reconstruction (SDC-Net's), unsupervised (census).
    """

    loss: str = "unsupervised"
    from_shipped: bool = False  # without motion.weights: start from those of the package, if any
    steps: int = 4000
    batch_size: int = 4
    crop: tuple[int, int] = (256, 320)  # height, width; no larger than the frames
    learning_rate: float = 4e-4
    schedule: str = "one_cycle"  # linear up and down; steps: a tenth after 1/2 and 9/10 (SDC-Net)
    weight_decay: float = 1e-4
    clip: float = 1.0  # largest norm of the gradient; 0: any
    ema_decay: float = 0.0  # moving average of the weights; 0: none
    iterations: int = 12  # raft
    freeze_batch_norm: bool = True  # raft_large; published: in every stage but the first
    gamma: float = 0.8  # weight of each estimate against the one after it
    smoothness: float = 4.0  # unsupervised
    smoothness_order: int = 1  # unsupervised: 1 constant, 2 linear flow
    sparse: bool = False  # true flow at single pixels (KITTI)
    scale: tuple[float, float] = (-0.2, 0.5)  # sequence: enlargement, powers of two
    flips: tuple[float, float] = (0.5, 0.1)  # sequence: left-right, up-down
    jitter: float = 0.4  # sequence: strength of changes of brightness, contrast, saturation
    hue: float = 0.159  # sequence: largest change of hue, turns
    erase: float = 0.5  # sequence: probability of wiping out parts of the second picture
    flying: float = 0.0  # sequence: share of pairs made of pieces of the frames, flying
    keep: int = 0  # sequence: draw so many examples once, then only mirror and crop; 0: always anew
    mix: tuple[str, ...] = ()  # sequence: further sets, see training/motion/mixture.py


@dataclasses.dataclass
class Config:
    """Everything ``train.py`` and ``propagate.py`` read."""

    seed: int = 0
    data: str = ""  # where --data is not given; such a config may train inside the output
    key_every: int = 0  # 0: every label found is known; n: that of every n-th frame alone
    stages: tuple[str, ...] = ("segmentation", "refiner")
    workers: int = 0  # processes that read and cut examples of motion and segmentation; 0: threads
    motion: MotionConfig = field(default_factory=MotionConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)
    refiner: RefinerConfig = field(default_factory=RefinerConfig)
    motion_training: MotionTrainingConfig = field(default_factory=MotionTrainingConfig)


def published_raft(**stage: Any) -> Config:
    """RAFT's training as published; ``stage`` says what one stage has of its own.

    The small network with ``--config.motion.name=raft_small``.

    Args:
      stage: options of ``MotionTrainingConfig``.

    Reference: princeton-vl/RAFT, ``train_standard.sh``, ``core/datasets.py``.
    """
    common: dict[str, Any] = dict(
        loss="sequence", steps=100_000, batch_size=6, learning_rate=1.25e-4, weight_decay=1e-5,
        gamma=0.85, freeze_batch_norm=True, flips=(0.5, 0.1), jitter=0.4, hue=0.159,
    )  # fmt: skip
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="raft_large"),
        motion_training=MotionTrainingConfig(**common | stage),
    )
