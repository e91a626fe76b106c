"""g_ψ: the network, how frames are put through it, and its training from labelled frames alone."""

import dataclasses
from dataclasses import field
from typing import Any

from wrp_jax.config.option import Options, option, share


@dataclasses.dataclass
class SegmentationNetwork(Options, path="config.segmentation.network"):
    """What the network is."""

    width: int = option(
        0,
        "Channels at the finest stride. 0: the network's own (`light`, `efficient` 24; HRNet 48).",
    )
    max_pixels: int = option(
        480 * 360,
        "Larger frames are trained on at this size, and segmented at it but by HRNet.",
        least=1,
    )
    scales: tuple[float, ...] = option(
        (), "hrnet_ocr_mscale: its scales, 1.0 among them. `()`: 0.5 and 1.0.", above=0
    )
    dtype: str = option(
        "float32", "HRNet: arithmetic.", choices=("float32", "tf32", "bfloat16")
    )  # fmt: skip
    remat: bool = option(False, "HRNet: less memory in training, more time.")
    learn_void: bool = option(
        False, "Predict void as a class; else void pixels are left out of the loss."
    )


@dataclasses.dataclass
class SegmentationInference(Options, path="config.segmentation.inference"):
    """How frames are put through the trained network."""

    flip: bool = option(True, "Average with the mirrored image.")
    average_scales: tuple[float, ...] = option(
        (), "Average with these scales of the image.", above=0
    )
    window: tuple[int, int] = option(
        (0, 0),
        "Look through windows of this height and width, multiples of 32. `(0, 0)`: at whole "
        "frames.",
    )
    overlap: float = option(0.25, "Share of a window that its neighbour sees too.", most=0.9)
    frames_per_device: int = option(
        0, "Frames at a time. 0: HRNet on a CPU one, else four.", most=4
    )  # fmt: skip


@dataclasses.dataclass
class SegmentationSampling(Options, path="config.segmentation.sampling"):
    """Which crops of which frames are trained on, and how they are changed."""

    crop: tuple[int, int] = option(
        (224, 288), "Height and width of the crops; no larger than the frames.", least=1
    )
    scale: tuple[float, float] = option(
        (0.85, 1.2),
        "Enlargement of the crops, from and to. Narrow, since what is labelled and its neighbours "
        "in time look alike in size.",
        above=0,
        ascending=True,
    )
    augmentation: str = option(
        "strong",
        "`published`: scale, mirror image, colour jitter, blur and nothing else.",
        choices=("strong", "published"),
    )
    blur: float = share(0.15, "Probability of blurring a crop.")
    key_share: float = share(
        0.4, "Share of the crops from labelled frames of the video; the rest are from stills."
    )
    class_share: float = share(0.5, "Share of the crops centred on a class drawn uniformly.")
    centroid_tile: int = option(
        0, "Centre those on a centroid of the class in a tile of so many pixels. 0: on any of its "
        "pixels."
    )  # fmt: skip
    coarse: str = option(
        "", "Pattern of sequences (`coarse_*`) whose stills are coarsely labelled: of these, only "
        "crops around `coarse_classes` are drawn."
    )  # fmt: skip
    coarse_classes: tuple[str, ...] = option((), "Names of these classes.")
    coarse_epochs: int = option(
        0, "Draw them for so many epochs of the other labels. 0: to the end."
    )
    calibration_share: float = share(
        0.0, "Share of 40 labelled frames or more that is held out to fit a temperature."
    )


@dataclasses.dataclass
class SegmentationOptimiser(Options, path="config.segmentation.optimiser"):
    """The loss, and how it is brought down."""

    loss: str = option(
        "weighted",
        "`weighted`: cross entropy weighted by class; `relaxed`: at label boundaries either class "
        "is right.",
        choices=("weighted", "rmi", "image_weighted", "relaxed"),
    )
    aux_weight: float = option(
        0.4, "Weight of the loss on the auxiliary output, of networks that have one."
    )
    single_scale_weight: float = option(
        0.0, "Networks of several scales: weight of the loss on each scale. Published: 0.05."
    )
    name: str = option(
        "muon",
        "`muon`: one cycle of the rate; `sgd`: momentum 0.9, the rate falls with each epoch.",
        choices=("muon", "sgd"),
    )
    epochs: int = option(0, "Of as many crops as there are labelled frames. 0: by `steps`.")
    steps: int = option(
        0, "Steps. 0: `steps_per_frame` for each labelled frame, within `steps_range`."
    )
    steps_per_frame: float = option(2.0, "Where epochs and steps are 0.", above=0)
    steps_range: tuple[int, int] = option(
        (300, 2400), "Fewest and most steps, where epochs and steps are 0.", ascending=True
    )
    batch_size: int = option(8, "Crops of a step.", least=1)
    accumulate: int = option(
        1, "Parts of a batch whose gradients are computed one after the other.", least=1
    )
    learning_rate: float = option(3e-3, "The highest.", above=0)
    encoder_rate: float = option(
        0.1, "`efficient`: share of the learning rate for its pretrained encoder.", above=0
    )
    poly_power: float = option(2.0, "sgd: exponent of the falling rate.")
    weight_decay: float = option(1e-2, "Decay of the weights (muon: decoupled from the gradient).")
    ema_decay: float = option(0.995, "Moving average of the weights. 0: none.", below=1)


@dataclasses.dataclass
class SegmentationConfig(Options, path="config.segmentation"):
    """g_ψ, which says what each pixel of a frame shows."""

    name: str = option(
        "efficient",
        "Which network; `precomputed` is read from files.",
        choices=("efficient", "light", "hrnet_ocr", "hrnet_ocr_mscale", "precomputed"),
    )
    weights: str = option(
        "",
        "Published weights: of HRNet to use or to train on, of EfficientNet-Lite0 to train on "
        "(empty: those of the package); `RUN/segmentation.npz`: to train on.",
    )
    drop_classifier: bool = option(
        False, "The classes of `weights` are others: train new last layers."
    )
    folder: str = option(
        "",
        "precomputed: a folder with `<sequence>/probs/*.npz`, or `labels/*.png` and "
        "`confidence/*.png`.",
    )
    network: SegmentationNetwork = field(default_factory=SegmentationNetwork)
    inference: SegmentationInference = field(default_factory=SegmentationInference)
    sampling: SegmentationSampling = field(default_factory=SegmentationSampling)
    optimiser: SegmentationOptimiser = field(default_factory=SegmentationOptimiser)


def inference_options(options: SegmentationConfig) -> dict[str, Any]:
    """What decides, beside the weights, what g_ψ says of a frame; by path below ``config``."""
    network, inference = options.network, options.inference
    return {
        "segmentation.name": options.name,
        **{
            f"segmentation.network.{name}": getattr(network, name)
            for name in ("max_pixels", "scales", "dtype", "learn_void")
        },
        **{
            f"segmentation.inference.{name}": getattr(inference, name)
            for name in ("flip", "average_scales", "window", "overlap")
        },
    }


def published_protocol() -> SegmentationConfig:
    """MSA-HRNet-OCR as Tao et al. 2020 train it on Cityscapes, which the paper follows (4.2)."""
    return SegmentationConfig(
        name="hrnet_ocr_mscale",
        network=SegmentationNetwork(max_pixels=2048 * 1024),
        sampling=SegmentationSampling(
            crop=(1024, 2048),
            scale=(0.5, 2.0),
            augmentation="published",
            blur=0.0,
            key_share=0.0,
            centroid_tile=1024,
        ),
        optimiser=SegmentationOptimiser(
            loss="rmi",
            single_scale_weight=0.05,
            name="sgd",
            epochs=175,
            batch_size=16,
            learning_rate=1e-2,
            weight_decay=1e-4,
            ema_decay=0.0,
        ),
    )
