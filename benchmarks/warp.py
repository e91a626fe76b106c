"""Warping at 512x1024 with 20 classes, against PyTorch: ``python -m benchmarks.warp``.

Hard labels: PyTorch has to build the one-hot map, sample it and take the argmax. Soft labels:
both sample 20 channels; PyTorch in the faster of its two layouts.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.scene import CLASSES, HEIGHT, WIDTH, scene
from benchmarks.timing import compare, report, threads
from experiments.record import record_option, write_result
from wrp_jax.ops.warp import warp, warp_labels


def torch_grid(flow: torch.Tensor) -> torch.Tensor:
    """Our flow as ``grid_sample`` takes it (align_corners=True)."""
    _, h, w, _ = flow.shape
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack(
        [(x + flow[..., 0]) * 2 / (w - 1) - 1, (y + flow[..., 1]) * 2 / (h - 1) - 1], dim=-1
    )


def torch_warp(source: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Bilinear backward warping with the border repeated."""
    return F.grid_sample(source, torch_grid(flow), align_corners=True, padding_mode="border")


def torch_one_hot(labels: torch.Tensor) -> torch.Tensor:
    """One-hot map, channels first."""
    return F.one_hot(labels, CLASSES).permute(0, 3, 1, 2).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    record_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(threads())
    arrays = scene()
    labels, flow = jnp.asarray(arrays["labels"]), jnp.asarray(arrays["flow"])
    probs = jnp.asarray(arrays["probs"])
    t_labels = torch.tensor(arrays["labels"].astype(np.int64))
    t_flow = torch.tensor(arrays["flow"])
    t_first = torch.tensor(arrays["probs"]).permute(0, 3, 1, 2).contiguous()
    t_last = t_first.to(memory_format=torch.channels_last)
    hard, soft = jax.jit(warp_labels), jax.jit(warp)

    same = np.mean(
        np.asarray(hard(labels, flow)[0])
        == torch_warp(torch_one_hot(t_labels), t_flow).argmax(1).numpy()
    )
    print(
        f"{HEIGHT}x{WIDTH}, {CLASSES} classes, {threads()} threads each; labels agree on {same:.4%}"
    )
    with torch.inference_mode():
        hard_times = compare(
            {
                "wrp_jax": lambda: hard(labels, flow),
                "torch": lambda: torch_warp(torch_one_hot(t_labels), t_flow).argmax(1),
            }
        )
        report("Hard labels", hard_times, "wrp_jax", "torch", 30)
        times = compare(
            {
                "wrp_jax": lambda: soft(probs, flow),
                "torch channels first": lambda: torch_warp(t_first, t_flow),
                "torch channels last": lambda: torch_warp(t_last, t_flow),
            }
        )
        best = min((k for k in times if k != "wrp_jax"), key=times.__getitem__)
        report("Soft labels", times, "wrp_jax", best, 1)
    if options.record:
        write_result(options.record, {"hard": hard_times, "soft": times}, note="milliseconds")


if __name__ == "__main__":
    main()
