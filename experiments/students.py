"""Table 1 and Fig. 8 of the paper: what students gain from propagated labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.published import FIG_8, TABLE_1, TABLE_3
from experiments.setting import Setting, folder_of, offsets_up_to, statistics
from wrp_jax.config import SegmentationConfig, StudentConfig
from wrp_jax.data.open_source import open_source
from wrp_jax.types import UserError

LONGER = "baseline, longer"
"""What a user would do instead of propagating: train on for as long as that takes."""

DISTANCES = (2, 4, 6, 8, 10)
"""Fig. 8: frames are sampled at ±2, ±4, … up to each of these."""


def rows(setting: Setting) -> dict[str, StudentConfig]:
    """The rows of Table 1 (4.2): motion-only at ±2, the others where ``config.student`` says."""
    options = setting.config.student

    def learns(**changes: Any) -> StudentConfig:
        return dataclasses.replace(options, **changes)

    return {
        "baseline": learns(labels="none"),
        "motion-only": learns(method="motion-only", offsets=offsets_up_to(2)),
        "semantic-only": learns(method="semantic-only"),
        "warp-inpaint": learns(method="warp-inpaint"),
        "warp-refine": learns(method="warp-refine"),
        "oracle": learns(labels="true"),
    }


def folder_of_row(row: str, options: StudentConfig) -> str:
    return row if options.labels == "none" else folder_of(row, options.offsets)


def trained_longer(segmentation: SegmentationConfig, steps: int) -> SegmentationConfig:
    """The same network and protocol with so many further steps.

    Raises:
      UserError: the protocol counts no steps.
    """
    recipe = segmentation.optimiser
    if recipe.epochs or not recipe.steps:
        raise UserError(
            "--longer adds to config.segmentation.optimiser.steps, which is not what decides here: "
            "give that, and 0 epochs."
        )
    longer = dataclasses.replace(recipe, steps=recipe.steps + steps)
    return dataclasses.replace(segmentation, optimiser=longer)


def measure(setting: Setting, wanted: dict[str, StudentConfig]) -> dict[str, Any]:
    """Trains the students of all rows; by row `statistics`, the gain and its share.

    ``delta`` is the mean above that of ``baseline``, ``share`` that in parts of the oracle's
    delta; None where there is no such row.

    With ``setting.longer`` there is the row ``baseline, longer``, too: the same CPU time spent on
    the baseline instead of on labels.
    """
    runs: dict[str, tuple[str, StudentConfig, SegmentationConfig | None]] = {
        row: (folder_of_row(row, options), options, None) for row, options in wanted.items()
    }
    if setting.longer:
        segmentation = trained_longer(setting.config.segmentation, setting.longer)
        folder = f"baseline_longer_{setting.longer}"
        runs[LONGER] = folder, wanted["baseline"], segmentation
    found: dict[str, Any] = {}
    scores: dict[str, dict[int, dict[str, Any]]] = {}
    for row, (folder, options, segmentation) in runs.items():
        for seed in setting.seeds:
            one = setting.student(folder, options, seed, segmentation)
            scores.setdefault(row, {})[seed] = one
        found[row] = statistics({seed: one["miou"] for seed, one in scores[row].items()})
        for key in ("pixel_accuracy", "mean_accuracy"):
            found[row][key] = statistics({s: one[key] for s, one in scores[row].items()})["mean"]
        found[row]["iou"] = _mean_by_class([one["iou"] for one in scores[row].values()])
    base = found["baseline"]["mean"]
    gain = found["oracle"]["mean"] - base if "oracle" in found else None
    for row in found:
        found[row]["delta"] = found[row]["mean"] - base
        found[row]["share"] = found[row]["delta"] / gain if gain else None
    return found


def _mean_by_class(runs: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Of the runs' IoU in %; None for classes that the test does not show."""
    means: dict[str, float | None] = {}
    for name in runs[0]:
        known = [value for run in runs if (value := run[name]) is not None]
        means[name] = sum(known) / len(known) if known else None
    return means


def printed_rows(data: str) -> dict[str, dict[str, float | None]]:
    """A column of the paper's Table 1 by row: ``mean``, ``sigma``, ``delta``, ``share``."""
    rows = TABLE_1[data]
    base = rows["baseline"][0]
    gain = rows["oracle"][0] - base if "oracle" in rows else None
    return {
        row: {
            "mean": mean,
            "sigma": sigma,
            "delta": mean - base,
            "share": (mean - base) / gain if gain else None,
        }
        for row, (mean, sigma) in rows.items()
    }


def table1(setting: Setting) -> dict[str, Any]:
    """Trains and prints all rows of Table 1."""
    labels = setting.label()
    found = measure(setting, rows(setting))
    print(f"mIoU (%) on {setting.test}; {len(setting.seeds)} runs; the paper's μ ± σ behind it")
    print(
        f"{'':16}{'μ':>7}{'σ':>7}{'Δ':>7}{'share':>7}   " + "  ".join(f"{n:>15}" for n in TABLE_1)
    )
    for row, one in found.items():
        ours = (one["mean"], one["sigma"], one["delta"], one["share"])
        cells = "".join("      -" if v is None else f"{v:7.2f}" for v in ours)
        printed = [table.get(row) for table in TABLE_1.values()]
        paper = "  ".join(f"{v[0]:8.2f} ± {v[1]:4.2f}" if v else f"{'-':>15}" for v in printed)
        print(f"{row:16}{cells}   {paper}")
    share = printed_rows("ApolloScape")["warp-refine"]["share"]
    print(f"share of the oracle's gain that warp-refine keeps, in the paper: {share:.2f}")
    means = {method: scores["mean"] for method, scores in labels["methods"].items()}
    return {"rows": found, "labels": means, "paper": {n: printed_rows(n) for n in TABLE_1}}


def fig8(setting: Setting) -> dict[str, Any]:
    """Students of labels from further and further away."""
    setting.label()
    wanted = {"baseline": rows(setting)["baseline"]}
    horizon = setting.config.propagation.horizon
    for distance in (d for d in DISTANCES if d <= horizon):
        for method in ("motion-only", "warp-refine"):
            options = dataclasses.replace(
                setting.config.student, method=method, offsets=offsets_up_to(distance)
            )
            wanted[f"{method} ±{distance}"] = options
    found = _measure_by_method(setting, wanted)
    print(f"mIoU (%) on {setting.test}, above the baseline's {found['baseline']['mean']:.2f}")
    for row, one in found.items():
        print(f"{row:18}{one['mean']:7.2f}{one['delta']:+7.2f}")
    print(f"Fig. 8: {FIG_8}")
    return {"rows": found}


def _measure_by_method(setting: Setting, wanted: dict[str, StudentConfig]) -> dict[str, Any]:
    """As `measure`; folders are named after methods, so that Table 1's students are found."""
    found: dict[str, Any] = {}
    for row, options in wanted.items():
        folder = folder_of_row(row.partition(" ")[0], options)
        by_seed = {s: setting.student(folder, options, s)["miou"] for s in setting.seeds}
        found[row] = statistics(by_seed)
        found[row]["delta"] = found[row]["mean"] - found["baseline"]["mean"]
    return found


def table3(setting: Setting) -> dict[str, Any] | None:
    """The scores of NYU-V2, on that set alone."""
    classes = open_source(setting.data).classes
    if sum(not void for void in classes.void) != 40:
        print("not run: needs NYU-Depth V2 (wrp convert --set=nyuv2), 40 classes, as --data")
        return None
    setting.label()
    wanted = rows(setting)
    found = measure(setting, {row: wanted[row] for row in ("baseline", "warp-refine")})
    print(f"{'':14}{'pixel-acc':>10}{'mean-acc':>10}{'mIoU':>8}")
    for row, one in found.items():
        print(
            f"{row:14}{one['pixel_accuracy']:10.1f}{one['mean_accuracy']:10.1f}{one['mean']:8.1f}"
        )
    for row, (pixel, mean, miou) in TABLE_3.items():
        print(f"{row:14}{pixel:10.1f}{mean:10.1f}{miou:8.1f}   (paper)")
    return {"rows": found}
