"""Ω: what refines the carried label, how it is trained, and its rule for doubt."""

import dataclasses
from dataclasses import field

from wrp_jax.config.option import Options, option, share


@dataclasses.dataclass
class DoubtConfig(Options, path="config.refiner.doubt"):
    """The chooser's answers, corrected: two rules after the network, chosen by measuring.

    They act where hypotheses differ, when frames are labelled; training does not see them.
    """

    inpainted: float = share(
        0.2,
        "Probability that the label of warp-inpaint is given in addition, one frame from the "
        "labelled one. The chooser is too sure of motion where that has failed: it learns from "
        "simulated clips, which are smoother than video.",
    )
    inpainted_over_motion: float = share(
        0.55, "The same where warp-inpaint has replaced the label that motion brings."
    )
    frames: int = option(
        31,
        "The addition falls with every step and is gone from this frame on: errors of motion add "
        "up in warp-inpaint, too.",
        least=2,
    )
    neighbours_width: tuple[int, int] = option(
        (240, 480),
        "Width of the picture in pixels up to which a pixel does not hear its eight neighbours, "
        "and from which it hears them in full: three pixels are little in a large picture and a "
        "whole pole in a small one. A full vote gained on DAVIS (854) and a little on CamVid "
        "(480), and lost on thin things at 240 and 192.",
        ascending=True,
    )


@dataclasses.dataclass
class RefinerConfig(Options, path="config.refiner"):
    """Ω, which mends the carried label with what g_ψ sees."""

    name: str = option(
        "chooser", "Which network; `pix2pix` is the paper's.", choices=("chooser", "pix2pix")
    )
    source: str = option(
        "simulated",
        "What it learns from: simulated clips, cycles over the video (the paper's), or both.",
        choices=("simulated", "cycle", "both"),
    )
    recursive: bool = option(
        False, "Refine inside the recursion (eq. 8), or the result of each step only."
    )
    unrolled: bool = option(
        False, "pix2pix: train with Ω in every step, through the whole chain."
    )  # fmt: skip
    learn_tau: bool = option(False, "pix2pix: τ of eq. 6 learns along.")
    clips: int = option(72, "Simulated clips, or cycles.", least=1)
    jitter: float = option(
        1.5, "simulated: pixels by which annotated borders are off at most. 0: labels are rendered "
        "and exact."
    )  # fmt: skip
    crops: int = option(4, "Crops for each guessed frame.", least=1)
    width: int = option(24, "chooser: channels per pixel.", least=1)
    class_width: int = option(16, "chooser: channels per pixel and class.", least=1)
    class_convs: int = option(
        2, "chooser: 3x3 convolutions over each class' map. 0 scores pixels alone."
    )
    steps: int = option(900, "Steps.")
    batch_size: int = option(8, "Crops of a step.", least=1)
    learning_rate: float = option(2e-3, "The highest.", above=0)
    max_cycle_length: int = option(6, "cycle: frames to go away and come back, at most.", least=1)
    calibrate_cycles: bool = option(
        False,
        "cycle: adjust g_ψ on the labelled frame, which it was trained on, to the accuracy that it "
        "reaches on the video, as on simulated clips.",
    )
    vary_cycles: bool = option(
        False,
        "cycle: run each over a part of the pictures, enlarged, often mirrored and in other light.",
    )
    doubt: DoubtConfig = field(default_factory=DoubtConfig)
