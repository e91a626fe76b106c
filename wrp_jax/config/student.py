"""A student: a network like g_ψ that is trained on propagated labels as well (the paper, 4.2)."""

import dataclasses
import math

from wrp_jax.config.option import Options, option, share


@dataclasses.dataclass
class StudentConfig(Options, path="config.student"):
    """What the stage `student` is trained on. Network and protocol are those of `segmentation`."""

    labels: str = option(
        "propagated",
        "What is learnt beside the labelled frames. `propagated`: labels that propagate wrote "
        "(`pseudo`); `true`: the true labels of the same frames (the paper's oracle); `none`: "
        "nothing (its baseline).",
        choices=("propagated", "true", "none"),
    )
    method: str = option(
        "", "Whose labels, where propagate ran several methods. Empty: those of the main one."
    )
    images: str = option(
        "auto",
        "Which pictures they belong to. `moved`: the labelled frame's picture, moved along with "
        "its label; `frames`: those of the video; `auto`: `moved` where propagate wrote them.",
        choices=("auto", "frames", "moved"),
    )
    offsets: tuple[int, ...] = option(
        (-8, -6, -4, -2, 2, 4, 6, 8),
        "How many frames after the labelled frame they lie; negative: before it.",
        least=-math.inf,
    )
    confidence: float = share(0.0, "Propagated pixels below this confidence are left out.")
    further_share: float = share(
        0.7, "Share of each epoch's crops from these frames; the rest from the labelled ones."
    )
    epoch: float = option(
        3.0, "Crops of an epoch for each labelled frame, however many propagated labels there are.",
        above=0,
    )  # fmt: skip
