"""The ablations of the paper: which parts of the method matter, for the labels and for students.

``recursion``: τ, carrier and mask, by the labels of warp-inpaint. ``motion``: f_θ. ``refiner``: Ω,
what it is trained on, and the length l of its cycles. ``cycles``: whether Ω gains by cycles alone,
and how they are drawn. ``hypotheses``: what a perfect chooser would
lose without one of them. ``backbone`` and ``epoch``: the student's network, and the length of its
epochs. All of them share one g_ψ. Choose by ``--parts=motion,epoch``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.chain_errors import chain_errors
from experiments.oracle import score_hypotheses
from experiments.published import BACKBONE, CYCLE_LENGTH, EPOCH, MOTION
from experiments.setting import NO_TRUTH, Setting, statistics
from experiments.students import folder_of_row, rows
from wrp_jax.config import SegmentationConfig, SegmentationNetwork, StudentConfig
from wrp_jax.propagation.chooser.hypotheses import HYPOTHESES
from wrp_jax.runs.motion import motion_of
from wrp_jax.runs.segmentation import load_segmentation
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.types import UserError

RECURSION: dict[str, dict[str, Any]] = {
    "as configured": {},
    "τ 0.1": {"tau": 0.1},
    "τ 0.2": {"tau": 0.2},
    "τ 1.0": {"tau": 1.0},
    "hard labels": {"carrier": "hard"},
    "soft labels": {"carrier": "soft"},
    "mask of eq. 6": {"mask": "paper"},
    "hard labels, mask of eq. 6": {"carrier": "hard", "mask": "paper"},
}
"""Options of ``config.propagation``, by what the row is called."""

MOTIONS: dict[str, dict[str, Any]] = {
    "as configured": {},
    "DIS, fine": {"name": "dis", "preset": "fine"},
    "DIS, ultrafast": {"name": "dis", "preset": "ultrafast"},
    "refined_dis": {"name": "refined_dis", "weights": ""},
    "none": {"name": "zero"},
}
"""Options of ``config.motion``. Published networks take a config of their own."""

REFINERS: dict[str, dict[str, Any]] = {
    "as configured": {},
    "chooser, simulated clips": {"name": "chooser", "source": "simulated"},
    "chooser, cycles": {"name": "chooser", "source": "cycle"},
    "chooser, both": {"name": "chooser", "source": "both"},
    "pix2pix, simulated clips": {"name": "pix2pix", "source": "simulated"},
    "pix2pix, cycles": {"name": "pix2pix", "source": "cycle"},
    "pix2pix, cycles, in every step": {"name": "pix2pix", "source": "cycle", "recursive": True},
    "pix2pix, cycles of l up to 2": {"name": "pix2pix", "source": "cycle", "max_cycle_length": 2},
    "pix2pix, cycles of l up to 10": {"name": "pix2pix", "source": "cycle", "max_cycle_length": 10},
}
"""Options of ``config.refiner``."""

CYCLES: dict[str, dict[str, Any]] = {
    "cycles as printed": {},
    "g_ψ calibrated": {"calibrate_cycles": True},
    "varied pictures": {"vary_cycles": True},
    "both": {"calibrate_cycles": True, "vary_cycles": True},
    "as printed, 48 cycles, 400 steps": {"clips": 48, "steps": 400},
    "both, 48 cycles, 400 steps": {
        **{"calibrate_cycles": True, "vary_cycles": True, "clips": 48, "steps": 400}
    },
}
"""How cycles are drawn: options of ``config.refiner``."""

BACKBONES: dict[str, SegmentationNetwork | None] = {
    "as configured": None,
    "hrnet_ocr, width 18": SegmentationNetwork(width=18),
    "hrnet_ocr, width 48": SegmentationNetwork(width=48),
}
"""Networks of students and of their baselines."""

EPOCHS = (1.0, 3.0, 6.0)
"""Crops of an epoch for each labelled frame."""


def ablations(setting: Setting) -> dict[str, Any]:
    """Runs the parts that the setting names, or all."""
    unknown = [part for part in setting.parts if part not in PARTS]
    if unknown:
        raise UserError(f"--parts={unknown[0]}: choose from {', '.join(PARTS)}.")
    found = {}
    for part in setting.parts or PARTS:
        print(f"{part}:")
        found[part] = PARTS[part](setting)
    return found


def recursion(setting: Setting) -> dict[str, Any]:
    """Labels of warp-inpaint with other thresholds, carriers and masks."""
    return _labels(setting, "recursion", "propagation", RECURSION, ("warp-inpaint",))


def motion(setting: Setting) -> dict[str, Any]:
    """Labels of motion-only and warp-inpaint by other motion."""
    found = _labels(setting, "motion", "motion", MOTIONS, ("motion-only", "warp-inpaint"))
    print(f"the paper: {MOTION}")
    return found


def refiner(setting: Setting) -> dict[str, Any]:
    """Labels of warp-refine with other refiners, and how far they are above warp-inpaint."""
    inpainted = _scores(setting.label("ablations/inpainted", "warp-inpaint"), "warp-inpaint")
    found: dict[str, Any] = {"warp-inpaint": inpainted}
    print(f"mIoU (%) of warp-refine's labels, warp-inpaint's: {inpainted['mean']:.2f}")
    print(f"{'':32}{'μ':>7}{'σ':>7}{'Δ':>7}")
    for name, changes in REFINERS.items():
        options = dataclasses.replace(setting.config.refiner, **changes)
        folder = _slug(k for k in changes.items() if k[0] != "recursive")
        by_seed = {}
        for seed in setting.seeds:
            run = setting.refine(folder, options, seed)
            output = f"ablations/refiner/{_slug(changes.items())}/{seed}"
            metrics = setting.label(output, "warp-refine", run, {"refiner": changes})
            by_seed[seed] = _scores(metrics, "warp-refine")["mean"]
        found[name] = _with_delta(statistics(by_seed), inpainted["mean"])
        print(f"{name:32}{_cells(found[name])}")
    print(f"the paper: {CYCLE_LENGTH}")
    return found


def cycles(setting: Setting) -> dict[str, Any]:
    """Whether the paper's Ω gains over warp-inpaint when it learns from cycles alone.

    With hard labels and the mask of eq. 6; each Ω is used in every step (eq. 8) and behind them.
    """
    printed = {"propagation": {"carrier": "hard", "mask": "paper"}}
    output = "ablations/cycles/inpainted"
    inpainted = _scores(setting.label(output, "warp-inpaint", changes=printed), "warp-inpaint")
    found: dict[str, Any] = {"warp-inpaint": inpainted}
    print(f"mIoU (%) of warp-refine's labels, warp-inpaint's: {inpainted['mean']:.2f}")
    print(f"{'':48}{'μ':>7}{'σ':>7}{'Δ':>7}")
    for name, drawn in CYCLES.items():
        changes = {"name": "pix2pix", "source": "cycle", **drawn}
        options = dataclasses.replace(setting.config.refiner, **changes)
        by_place: dict[str, dict[int, float]] = {"in every step": {}, "behind them": {}}
        for seed in setting.seeds:
            run = setting.refine(f"printed_{_slug(changes.items())}", options, seed, printed)
            for place, by_seed in by_place.items():
                refined = {"refiner": {**changes, "recursive": place == "in every step"}}
                output = f"ablations/cycles/{_slug(drawn.items())}/{_slug([('', place)])}/{seed}"
                metrics = setting.label(output, "warp-refine", run, {**printed, **refined})
                by_seed[seed] = _scores(metrics, "warp-refine")["mean"]
        for place, by_seed in by_place.items():
            found[f"{name}, {place}"] = _with_delta(statistics(by_seed), inpainted["mean"])
            print(f"{f'{name}, {place}':48}{_cells(found[f'{name}, {place}'])}")
    workdir, config = setting.teach(), setting.config
    source, windows = setting.video()
    segment = functools.partial(segment_clip, *load_segmentation(workdir, config, source.classes))
    carried = dataclasses.replace(config.propagation, **printed["propagation"])
    with setting.cost("errors"):
        errors = chain_errors(source, windows, motion_of(config, workdir), segment, carried)
    print("Errors of warp-inpaint (%) at the end of a cycle and of an open chain of as many steps;")
    print("of these, right by the segmentation")
    for steps, kinds in errors.items():
        cells = (f"{k} {one['wrong']:.1f} {one['segmentation']:.0f}" for k, one in kinds.items())
        print(f"{steps:>3} steps: {', '.join(cells)}")
    return {**found, "errors": errors}


def hypotheses(setting: Setting) -> dict[str, Any]:
    """Perfect choosers among all hypotheses, and without one of them."""
    workdir, config = setting.teach(), setting.config
    source, windows = setting.video()
    segment = functools.partial(segment_clip, *load_segmentation(workdir, config, source.classes))
    choosers = {"all": HYPOTHESES} | {
        f"without {name}": tuple(other for other in HYPOTHESES if other != name)
        for name in HYPOTHESES
    }
    with setting.cost("hypotheses"):
        metrics, disputed = score_hypotheses(
            source, windows, motion_of(config, workdir), segment, choosers
        )
    print(f"mIoU (%) of a perfect chooser; hypotheses differ on {100 * disputed:.1f} % of pixels")
    best = _scores({"methods": metrics}, "perfect: all")["mean"]
    found = {}
    for name in (*HYPOTHESES, *choosers):
        one = _scores({"methods": metrics}, name if name in HYPOTHESES else f"perfect: {name}")
        found[name] = {"mean": one["mean"], "delta": one["mean"] - best}
        print(f"{name:32}{one['mean']:7.2f}{one['mean'] - best:+7.2f}")
    return found


def backbone(setting: Setting) -> dict[str, Any]:
    """Students of other networks with warp-refine's labels, above their own baselines."""
    networks: dict[str, SegmentationConfig | None] = {
        name: network
        and dataclasses.replace(
            setting.config.segmentation,
            name="hrnet_ocr",
            network=dataclasses.replace(
                setting.config.segmentation.network, width=network.width, scales=()
            ),
        )
        for name, network in BACKBONES.items()
    }
    found = _students(setting, {n: (lambda o: o, s) for n, s in networks.items()})
    print(f"the paper: {BACKBONE}")
    return found


def epoch(setting: Setting) -> dict[str, Any]:
    """Students of shorter and longer epochs, above baselines that were trained equally long."""

    def of(length: float) -> Callable[[StudentConfig], StudentConfig]:
        return lambda options: dataclasses.replace(options, epoch=length)

    found = _students(setting, {f"{length:g} crops": (of(length), None) for length in EPOCHS})
    print(f"the paper: {EPOCH}")
    return found


PARTS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "recursion": recursion,
    "motion": motion,
    "refiner": refiner,
    "cycles": cycles,
    "hypotheses": hypotheses,
    "backbone": backbone,
    "epoch": epoch,
}
STUDENTS = ("backbone", "epoch")
"""The parts that train students."""


def _labels(
    setting: Setting,
    part: str,
    group: str,
    variants: Mapping[str, Mapping[str, Any]],
    methods: Sequence[str],
) -> dict[str, Any]:
    """Scores of labels under other options of one group, without training."""
    found: dict[str, Any] = {}
    for method in methods:
        print(f"mIoU (%) of {method}'s labels\n{'':32}{'±1':>7}{'last':>7}{'mean':>7}")
        for name, changes in variants.items():
            output = f"ablations/{part}/{method}/{_slug(changes.items())}"
            one = _scores(setting.label(output, method, changes={group: changes}), method)
            found.setdefault(method, {})[name] = one
            cells = (one["1"], one["last"], one["mean"])
            print(f"{name:32}{_columns(cells)}")
    return found


def _students(
    setting: Setting,
    variants: Mapping[str, tuple[Callable[[StudentConfig], StudentConfig], Any]],
) -> dict[str, Any]:
    """Baseline and warp-refine student of each variant: changed options, and a network."""
    setting.label()
    wanted = rows(setting)
    found: dict[str, Any] = {}
    print(f"mIoU (%) on {setting.test}\n{'':32}{'baseline':>10}{'μ':>7}{'σ':>7}{'Δ':>7}")
    for name, (change, network) in variants.items():
        scores = {}
        for row in ("baseline", "warp-refine"):
            options = change(wanted[row])
            folder = folder_of_row(row, options)
            if options != wanted[row] or network is not None:
                folder = f"{folder}_{_slug([('as', name)])}"
            by_seed = {
                seed: setting.student(folder, options, seed, network)["miou"]
                for seed in setting.seeds
            }
            scores[row] = statistics(by_seed)
        one = _with_delta(scores["warp-refine"], scores["baseline"]["mean"])
        found[name] = {"baseline": scores["baseline"], "warp-refine": one}
        print(f"{name:32}{scores['baseline']['mean']:10.2f}{_cells(one)}")
    return found


def _scores(metrics: Mapping[str, Any], method: str) -> dict[str, Any]:
    """MIoU at ±1, at the largest distance and on average."""
    scores = metrics["methods"][method]
    curve = scores["miou"]
    if not curve:
        raise UserError(NO_TRUTH)
    last = curve[max(curve, key=int)]
    return {"1": curve.get("1"), "last": last, "mean": scores["mean"]}


def _with_delta(found: dict[str, Any], base: float) -> dict[str, Any]:
    return {**found, "delta": found["mean"] - base}


def _cells(found: Mapping[str, Any]) -> str:
    return _columns((found["mean"], found["sigma"], found["delta"]))


def _columns(values: Sequence[float | None]) -> str:
    return "".join("      -" if value is None else f"{value:7.2f}" for value in values)


def _slug(changes: Any) -> str:
    """A folder's name for options that differ."""
    words = "_".join(f"{key}-{value}" for key, value in changes) or "as_configured"
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in words)
