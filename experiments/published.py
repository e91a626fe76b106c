"""The figures that the paper prints, beside which ours are shown.

Reference: Ganeshan et al., ICCV 2021: Table 1, Table 3, sections 4.3 and 4.4.
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
