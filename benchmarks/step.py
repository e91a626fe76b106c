"""One step Ψ^W at 512x1024, 20 classes, cues given, against PyTorch: ``python -m benchmarks.step``.

Both carry hard ids (the paper), test photometric error, validity and forward-backward error,
and take the segmentation where motion is not trusted. PyTorch in the usual way: one-hot,
``grid_sample``, blend with the one-hot map of the segmentation, argmax.
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
from benchmarks.warp import torch_one_hot, torch_warp
from experiments.record import record_option, write_result
from wrp_jax.ops.warp import inside
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.types import Cues

TAU, PIXELS = 0.5, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    record_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(threads())
    arrays = scene()
    flow = jnp.asarray(arrays["flow"])
    cues = Cues(
        image=jnp.asarray(arrays["image"]),
        flow=flow,
        valid=inside(flow).astype(jnp.float32),
        photometric=jnp.asarray(arrays["photometric"]),
        consistency=jnp.asarray(arrays["consistency"]),
        probs=jnp.asarray(arrays["probs"]),
        features=jnp.zeros((1, 1, 1, 0)),
        active=jnp.ones(1),
    )
    t = {name: torch.tensor(np.asarray(getattr(cues, name))) for name in cues._fields}
    t_probs = t["probs"].permute(0, 3, 1, 2).contiguous()
    t_labels = torch.tensor(arrays["labels"].astype(np.int64))

    def torch_step() -> torch.Tensor:
        moved = torch_warp(torch_one_hot(t_labels), t["flow"])
        moved = F.one_hot(moved.argmax(1), CLASSES).permute(0, 3, 1, 2).float()
        mask = (t["photometric"] < TAU) & (t["valid"] > 0) & (t["consistency"] < PIXELS)
        mask = mask[:, None].float()
        semantic = torch_one_hot(t_probs.argmax(1))
        return (mask * moved + (1 - mask) * semantic).argmax(1)

    def torch_short_step() -> torch.Tensor:
        # What a careful hand would leave out: labels are blended as ids.
        moved = torch_warp(torch_one_hot(t_labels), t["flow"]).argmax(1)
        mask = (t["photometric"] < TAU) & (t["valid"] > 0) & (t["consistency"] < PIXELS)
        return torch.where(mask, moved, t_probs.argmax(1))

    print(f"{HEIGHT}x{WIDTH}, {CLASSES} classes, {threads()} threads each")
    functions = {}
    for name in ("hard", "soft", "composed"):
        carrier = build_carrier(name, CLASSES)
        state = carrier.init(jnp.asarray(arrays["labels"]))
        step = jax.jit(make_step(carrier, MaskOptions(TAU, PIXELS)))
        functions[f"wrp_jax {name}"] = lambda step=step, state=state: step(state, cues)
    same = np.mean(np.asarray(functions["wrp_jax hard"]()[1].labels) == torch_short_step().numpy())
    print(f"labels agree on {same:.4%}")
    with torch.inference_mode():
        times = compare(
            functions | {"torch": torch_step, "torch, blending ids": torch_short_step}, rounds=9
        )
    report("One step of warp-inpaint", times, "wrp_jax hard", "torch", 10)
    report("against blending ids", times, "wrp_jax hard", "torch, blending ids", 10)
    if options.record:
        write_result(options.record, times, note="milliseconds")


if __name__ == "__main__":
    main()
