"""The recursion Ψ: what is carried, and where motion is believed."""

import dataclasses

from wrp_jax.config.option import Options, option, share


@dataclasses.dataclass
class PropagationConfig(Options, path="config.propagation"):
    """The recursion Ψ, which carries the label of one frame to the others."""

    carrier: str = option(
        "anchored",
        "What moves from frame to frame: one-hot labels (`hard`, the paper's), distributions "
        "(`soft`), the composed flow into the labelled frame (`composed`), or this, begun anew "
        "every third frame where one flow straight into the labelled frame matches better "
        "(`anchored`).",
        choices=("hard", "soft", "composed", "anchored"),
    )
    horizon: int = option(10, "Frames to label on both sides of each labelled one.", least=1)
    sides: str = option(
        "both",
        "What a frame is labelled from: the labelled frames before and after it (`both`), the "
        "nearest alone (`nearest`), or all that are at most twice the horizon away (`all`), which "
        "takes a multiple of the time. Windows of a list (`--windows`) have one labelled frame "
        "each.",
        choices=("both", "nearest", "all"),
    )
    weight_per_frame: float = share(
        0.95,
        "both, all: what the weight of a labelled frame is multiplied by for every frame of "
        "distance. Errors of motion add up; measured on real video, the far side still helps at "
        "twenty frames.",
    )
    tau: float = option(
        0.5, "τ of eq. 6: photometric error (L2 norm of RGB in 0 … 1) from which motion is not "
        "trusted. `wrp propagate --config.propagation.tau=auto` chooses it by labels left out."
    )  # fmt: skip
    mask: str = option(
        "consistent",
        "Where motion is trusted. `paper`: eq. 6 and inside the frame; `consistent`: and where "
        "flow leads back.",
        choices=("paper", "consistent"),
    )
    consistency_pixels: float = option(
        1.5, "consistent: forward-backward error in pixels from which flow does not lead back.",
        above=0,
    )  # fmt: skip
    inpaint_confidence: float = share(
        0.7, "consistent: where flow alone does not lead back, g_ψ takes over only where it is "
        "surer than this."
    )  # fmt: skip
    semantic_confidence: float = share(
        0.9, "semantic-only: confidence of g_ψ below which a pixel is void."
    )
    write_source: bool = option(
        False, "Write for every pixel where its label comes from, too (`source/`, `age/`)."
    )
    move_images: bool = option(
        False, "motion-only: write the labelled image, moved along, too (`images/`)."
    )
