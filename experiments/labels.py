"""Fig. 1 and Fig. 5 of the paper, and its ablations: how good the propagated labels are."""

from __future__ import annotations

from typing import Any

from experiments.published import FIG_1_MARGIN_AT_10, FIG_5_MARGIN
from experiments.setting import Setting
from wrp_jax.types import UserError

PRIOR = ("motion-only", "semantic-only")
"""What the paper compares with; warp-inpaint is its own."""

SHOWN = ("motion-only", "semantic-only", "warp-inpaint", "warp-refine")

VARIANTS: dict[str, dict[str, Any]] = {
    "as configured": {},
    "τ 0.1": {"tau": 0.1},
    "τ 0.2": {"tau": 0.2},
    "τ 1.0": {"tau": 1.0},
    "hard labels": {"carrier": "hard"},
    "soft labels": {"carrier": "soft"},
    "mask of eq. 6": {"mask": "paper"},
    "hard labels, mask of eq. 6": {"carrier": "hard", "mask": "paper"},
}
"""Options of the recursion, by what the row is called."""


def fig1(setting: Setting) -> dict[str, Any]:
    """MIoU of the labels by distance from the labelled frame, void scored as the paper does."""
    found = _scores(setting)
    curves = {method: found[method]["miou_with_void"] for method in SHOWN}
    distances = sorted({int(k) for curve in curves.values() for k in curve})
    print("mIoU (%) of the labels, void a class like any other (4.3)")
    print(f"{'':14}" + "".join(f"{f'±{k}':>7}" for k in distances))
    for method, curve in curves.items():
        cells = "".join(f"{curve[str(k)]:7.1f}" for k in distances)
        print(f"{method:14}{cells}")
    last = str(min(distances[-1], 10))
    margin = curves["warp-refine"][last] - max(curves[method][last] for method in PRIOR)
    print(f"warp-refine above the closest prior method at ±{last}: {margin:+.2f} ", end="")
    print(f"(paper, ApolloScape, at ±10: {FIG_1_MARGIN_AT_10:+.2f})")
    return {
        "miou_with_void": curves,
        "miou": {method: found[method]["miou"] for method in SHOWN},
        "margin": {last: margin},
        "paper": {"10": FIG_1_MARGIN_AT_10},
    }


def fig5(setting: Setting) -> dict[str, Any]:
    """IoU of each class, averaged over all distances, and the mean."""
    found = _scores(setting)
    classes = list(found["warp-refine"]["iou_per_class"])
    by_class = {m: {c: found[m]["iou_per_class"][c]["mean"] for c in classes} for m in SHOWN}
    print(f"IoU (%) averaged over all distances\n{'':16}" + "".join(f"{m:>15}" for m in SHOWN))
    for name in classes:
        print(f"{name:16}" + "".join(f"{by_class[m][name]:15.1f}" for m in SHOWN))
    means = {method: found[method]["mean_with_void"] for method in SHOWN}
    print(f"{'mean':16}" + "".join(f"{means[m]:15.1f}" for m in SHOWN))
    margin = means["warp-refine"] - max(means[method] for method in PRIOR)
    print(f"warp-refine above the closest prior method: {margin:+.2f} ", end="")
    print(f"(paper, ApolloScape: {FIG_5_MARGIN:+.2f})")
    return {"iou": by_class, "mean": means, "margin": margin, "paper": FIG_5_MARGIN}


def ablations(setting: Setting) -> dict[str, Any]:
    """Labels of warp-inpaint with other thresholds, carriers and masks; g_ψ is the same."""
    found = {}
    print(f"mIoU (%) of warp-inpaint's labels\n{'':30}{'±1':>7}{'last':>7}{'mean':>7}")
    for number, (name, options) in enumerate(VARIANTS.items()):
        folder = f"ablations/{number:02d}"
        metrics = setting.label(folder, "warp-inpaint", **options)["methods"]["warp-inpaint"]
        curve = metrics["miou"]
        if not curve:
            raise UserError(_NO_TRUTH)
        last = max(curve, key=int)
        found[name] = {"1": curve.get("1"), last: curve[last], "mean": metrics["mean"]}
        cells = (curve.get("1", float("nan")), curve[last], metrics["mean"])
        print(f"{name:30}" + "".join(f"{v:7.1f}" for v in cells))
    return {"warp-inpaint": found}


_NO_TRUTH = (
    "no frame of --data beside the labelled ones has a true label to score against: give a video "
    "with more labels, and the --keyframes that may be used."
)


def _scores(setting: Setting) -> dict[str, Any]:
    found = setting.label()["methods"]
    if not found["warp-refine"]["miou"]:
        raise UserError(_NO_TRUTH)
    return found
