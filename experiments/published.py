"""The figures that the paper prints, beside which ours are shown.

Reference: Ganeshan et al., ICCV 2021: Tables 1 to 4, sections 4.2 to 4.5. Its supplement, with the
figures of further ablations, is not at hand.
"""

from __future__ import annotations

TABLE_1 = {
    "NYU-V2": {
        "baseline": (50.58, 0.25),
        "motion-only": (50.38, 0.13),
        "semantic-only": (50.93, 0.17),
        "warp-inpaint": (51.28, 0.19),
        "warp-refine": (52.12, 0.13),
    },
    "ApolloScape": {
        "baseline": (72.63, 0.09),
        "motion-only": (72.57, 0.15),
        "semantic-only": (73.10, 0.14),
        "warp-inpaint": (72.97, 0.22),
        "warp-refine": (73.74, 0.12),
        "oracle": (75.36, 0.07),
    },
    "Cityscapes val": {
        "baseline": (83.35, 0.10),
        "motion-only": (83.01, 0.13),
        "semantic-only": (83.91, 0.04),
        "warp-refine": (84.07, 0.08),
    },
}
"""μ and σ of the mIoU of three runs."""

FIG_1_MARGIN_AT_10 = 11.35
"""mIoU of warp-refine above the closest prior method at ±10 frames, on ApolloScape."""

FIG_5_MARGIN = 13.12
"""The same, averaged over all propagation lengths."""

FIG_8 = (
    "the paper prints no figures; on NYU-V2 motion-only falls as frames are sampled further away, "
    "and warp-refine does not, up to ±10"
)

TABLE_3 = {
    "MTI Net": (75.3, 62.9, 49.0),
    "PAD-Net": (75.2, 62.3, 50.2),
    "PAP-Net": (76.2, 62.5, 50.4),
    "warp-refine": (77.6, 66.0, 52.2),
}
"""Pixel accuracy, mean accuracy and mIoU on the test split of NYU-V2."""

CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle",
    "bicycle",
)  # fmt: skip
"""The classes of Table 2, in its order."""

TABLE_2 = {
    "Chen et al.": (
        (98.8, 88.3, 94.6, 65.3, 69.6, 75.2, 80.9, 84.4, 94.3, 74.4, 96.2, 90.0, 79.7, 96.7, 83.0,
         95.6, 93.4, 78.4, 79.6),
        85.2,
    ),
    "warp-refine": (
        (98.9, 88.6, 94.9, 71.5, 68.7, 75.5, 82.0, 85.2, 94.5, 74.1, 96.3, 89.9, 79.4, 96.9, 80.2,
         94.4, 92.5, 75.7, 81.2),
        85.3,
    ),
}  # fmt: skip
"""IoU by class and mIoU on the test split of Cityscapes: the best before, and the paper's own."""

TABLE_4 = {
    "Zhu et al.": (72.83, 48.68, 88.99, 75.26),
    "warp-refine": (76.44, 50.92, 89.63, 73.69),
}
"""IoU and iIoU of classes, IoU and iIoU of categories on the test split of KITTI."""

MOTION = "video prediction (SDC-Net) was better than warping by optical flow (4.2)"
CYCLE_LENGTH = "cycles are trained with a range of propagation up to ±6 (4.2)"
EPOCH = "thrice the labelled frames, so that the baseline is not trained too little (4.2)"
BACKBONE = "other backbones are in the supplement (4.5)"
"""What the paper says of its ablations; their figures are in its supplement."""
