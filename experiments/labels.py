"""Fig. 1, Fig. 5 and Fig. 6 of the paper: how good the propagated labels are, and how they look."""

from __future__ import annotations

from typing import Any

from experiments.published import FIG_1_MARGIN_AT_10, FIG_5_MARGIN
from experiments.setting import NO_TRUTH, Setting
from experiments.strip import draw, encode, frame_scores, read_pictures
from wrp_jax.data.windows import window_frames
from wrp_jax.files.atomic import write_atomically
from wrp_jax.types import UserError

PRIOR = ("motion-only", "semantic-only")
"""What the paper compares with; warp-inpaint is its own."""

SHOWN = ("motion-only", "semantic-only", "warp-inpaint", "warp-refine")

SEEN = 3
"""Windows that Fig. 6 shows."""


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


def fig6(setting: Setting) -> dict[str, Any]:
    """Pictures of some windows with the labels of all methods, one above the other."""
    setting.label()
    source, windows = setting.video()
    found: dict[str, Any] = {}
    for window in windows[: SEEN * max(1, len(windows) // SEEN) : max(1, len(windows) // SEEN)]:
        names = window_frames(window, source)
        key, reach = names.index(window.key), len(names)
        distances = [d for d in (-10, -5, 5, 10) if 0 <= key + d < reach]
        distances = distances or [d for d in (-1, 1) if 0 <= key + d < reach]
        pictures = read_pictures(source, window, setting.workdir / "labels", SHOWN, distances)
        path = setting.workdir / "fig6" / f"{window.sequence}_{window.key}.png"
        write_atomically(path, encode(draw(pictures, source.classes, reach - 1)))
        print(f"{path} shows {window.key} of {window.sequence}")
        found[f"{window.sequence} {window.key}"] = frame_scores(pictures, source.classes)
    print("Fig. 6: on ApolloScape warp-refine keeps rare classes that motion and semantics lose")
    return found


def _scores(setting: Setting) -> dict[str, Any]:
    found = setting.label()["methods"]
    if not found["warp-refine"]["miou"]:
        raise UserError(NO_TRUTH)
    return found
