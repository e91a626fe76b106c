"""RAFT large against PyTorch in one run; compile times, bfloat16, memory of both lookups.

python -m benchmarks.raft [time] [processor] [compile] [bfloat16] [memory]

Weights are the reproducible ones of tests/golden: the two networks are compared before they are
timed. ``time`` and ``processor`` need PyTorch; the rest does not. ``processor`` counts the seconds
that processors spend, all threads together, which jobs beside this one change little.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import compare, report, threads
from experiments.record import Figures, record_option, write_result
from wrp_jax.config import SegmentationConfig
from wrp_jax.models.motion.flownet2 import build_flownet2
from wrp_jax.models.motion.raft import build_raft
from wrp_jax.models.motion.refined_dis import build_refined_dis
from wrp_jax.models.motion.sdcnet import build_sdcnet
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.weights import published

GOLDEN = pathlib.Path(__file__).parents[1] / "tests" / "golden"
SIZES = ((440, 1024), (376, 1248))  # 436x1024 (Sintel) and 376x1248 (KITTI), padded
ITERATIONS = 12
ROUNDS = 3
KEPT: list[Any] = []


def state_dict(fixture: str) -> dict[str, np.ndarray]:
    """The reproducible weights of a fixture, under its own names."""
    sys.path.insert(0, str(GOLDEN))
    import golden_files

    return golden_files.state_dict(fixture)


def variables(fixture: str):
    network = fixture.removesuffix("_torchvision")
    found, _ = published.fit_state_dict(state_dict(fixture), network)
    return jax.tree.map(jnp.asarray, published.nest(found))


def pair(height: int, width: int) -> list[np.ndarray]:
    """Two frames of a textured picture that moves by a few pixels."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (height // 8 + 4, width // 8 + 4, 3)).astype(np.float32)
    picture = np.asarray(jax.image.resize(coarse, (height + 32, width + 32, 3), "cubic"))
    picture = picture.clip(0, 255)
    return [picture[None, y : y + height, x : x + width] for y, x in ((8, 8), (5, 14))]


def torch_network(place: str = "cpu") -> tuple[str, Any, str]:
    """What ours is timed against: its name, ``network(first, second)``, and its fixture."""
    import torch

    def tensors(fixture: str) -> dict[str, Any]:
        return {name: torch.from_numpy(a) for name, a in state_dict(fixture).items()}

    try:
        network = torchvision_network().eval()
    except ImportError:
        from benchmarks.torch_raft import load_plain

        plain = load_plain(tensors("raft_large"), ITERATIONS).to(place)
        return "torch, plain layers", plain, "raft_large"
    network.load_state_dict(tensors("raft_large_torchvision"))
    network.to(place)

    def run(first, second):
        first, second = (2 * (x / 255) - 1 for x in (first, second))
        return network(first, second, num_flow_updates=ITERATIONS)[-1]

    return "torchvision", run, "raft_large_torchvision"


def torchvision_network() -> Any:
    """``raft_large`` of torchvision, also where PyTorch is without CUDA and torchvision is not.

    Its compiled operators do not load then, and its import stops at the names of two of them,
    which RAFT does not use: they are declared.

    Raises:
      ImportError: torchvision is not installed.
    """
    try:
        from torchvision.models.optical_flow import raft_large
    except RuntimeError:
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        KEPT.append(library)  # the declarations go with it
        from torchvision.models.optical_flow import raft_large
    return raft_large()


def run_time() -> Figures:
    import torch

    torch.set_num_threads(threads())
    name, theirs, fixture = torch_network()
    weights = variables(fixture)
    found = {}
    ours = jax.jit(lambda w, a, b: build_raft("raft_large", iterations=ITERATIONS).apply(w, a, b))
    for height, width in SIZES:
        frames = pair(height, width)
        first, second = (jnp.asarray(x) for x in frames)
        last = [torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in frames]
        with torch.inference_mode():
            flow = theirs(*last).permute(0, 2, 3, 1).numpy()
            error = np.abs(flow - np.asarray(ours(weights, first, second).flow)).max()
            print(f"largest difference {error:.1e} px of flows up to {np.abs(flow).max():.0f} px")
            times = compare(
                {
                    "wrp_jax": lambda a=first, b=second: ours(weights, a, b).flow,
                    name: lambda x=last: theirs(*x),
                },
                rounds=ROUNDS,
            )
        report(f"RAFT large, {ITERATIONS} iterations, {height}x{width}", times, "wrp_jax", name, 1)
        found[f"{height}x{width}"] = times
    return found


def run_processor() -> Figures:
    import torch

    # PyTorch's threads spin while they wait for each other, which would count against it.
    torch.set_num_threads(1)
    name, theirs, fixture = torch_network()
    weights = variables(fixture)
    ours = jax.jit(build_raft("raft_large", iterations=ITERATIONS).apply)
    found = {}
    for height, width in SIZES:
        frames = pair(height, width)
        first, second = (jnp.asarray(x) for x in frames)
        last = [torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in frames]
        with torch.inference_mode():
            seconds = [
                processor_seconds(lambda a=first, b=second: ours(weights, a, b).flow),
                processor_seconds(lambda x=last: theirs(*x)),
            ]
        print(
            f"  RAFT large, {ITERATIONS} iterations, {height}x{width}: wrp_jax {seconds[0]:.2f} s, "
            f"{name} {seconds[1]:.2f} s: {seconds[1] / seconds[0]:.2f}x"
        )
        times = [1e3 * value for value in seconds]
        found[f"{height}x{width}"] = dict(zip(("wrp_jax", name), times, strict=True))
    return found


def processor_seconds(function: Callable[[], Any]) -> float:
    """The least of two calls, after one that is not counted."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        jax.block_until_ready(function())
        seconds.append(time.process_time() - start)
    return min(seconds[1:])


def run_compile() -> Figures:
    """Seconds from traced to ready, of every network, at 128x192."""
    image = jax.ShapeDtypeStruct((1, 128, 192, 3), jnp.float32)
    flow = jax.ShapeDtypeStruct((1, 128, 192, 2), jnp.float32)
    clips = {
        n: tuple(
            jax.ShapeDtypeStruct((1, t, 128, 192, c), jnp.float32) for t, c in ((n, 3), (n - 1, 2))
        )
        for n in (2, 3)
    }
    segmentation = ("light", "hrnet_ocr", "hrnet_ocr_mscale")
    networks = {
        **{
            f"{name}, {n} iterations": (build_raft(name, iterations=n), (image, image))
            for name in ("raft_large", "raft_small")
            for n in (1, 12, 32)
        },
        "sdcnet": (build_sdcnet(), clips[3]),
        "sdcnet_prediction": (build_sdcnet(), clips[2]),
        "flownet2": (build_flownet2(), (image, image)),
        "refined_dis": (build_refined_dis(), (image, image, flow, flow)),
        **{
            name: (build_segmentation(SegmentationConfig(name=name), 19), (image,))
            for name in segmentation
        },
    }
    found = {}
    for name, (network, inputs) in networks.items():
        shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
        start = time.perf_counter()
        lowered = jax.jit(network.apply).lower(shapes, *inputs)
        traced = time.perf_counter()
        lowered.compile()
        seconds = time.perf_counter() - traced
        print(f"  {name:26s} traced {traced - start:5.1f} s, compiled {seconds:5.1f} s")
        found[name] = {"traced": traced - start, "compiled": seconds}
    return found


def run_bfloat16() -> Figures:
    """Difference from float32 with reproducible weights, at 128x192."""
    frames = [jnp.asarray(x) for x in pair(128, 192)]
    found = {}
    for name in ("raft_large", "raft_small"):
        weights = variables(name)
        flows = [
            np.asarray(
                jax.jit(build_raft(name, iterations=ITERATIONS, dtype=dtype).apply)(
                    weights, *frames
                ).flow
            )
            for dtype in (jnp.float32, jnp.bfloat16)
        ]
        length = np.linalg.norm(flows[0], axis=-1)
        error = np.linalg.norm(flows[1] - flows[0], axis=-1)
        print(
            f"  {name}: mean {error.mean():.3f} px, 99 % below {np.quantile(error, 0.99):.3f} px, "
            f"largest {error.max():.3f} px; flows are {length.mean():.1f} px long"
        )
        found[name] = {
            "mean": error.mean(), "99 %": np.quantile(error, 0.99), "largest": error.max(),
            "length": length.mean(),
        }  # fmt: skip
    return found


def run_memory() -> Figures:
    """What XLA sets aside at 1024x2048, without running anything."""
    image = jax.ShapeDtypeStruct((1, 1024, 2048, 3), jnp.float32)
    found: dict[str, dict[str, float]] = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        for kind in ("all_pairs", "on_the_fly"):
            network = build_raft("raft_large", correlation=kind, dtype=dtype)
            shapes = jax.eval_shape(network.init, jax.random.key(0), image, image)
            compiled = jax.jit(network.apply).lower(shapes, image, image).compile()
            size = compiled.memory_analysis().temp_size_in_bytes / 2**30
            print(f"  {kind:10s} {jnp.dtype(dtype).name:8s} {size:6.2f} GiB")
            found.setdefault(jnp.dtype(dtype).name, {})[kind] = size
    return found


PARTS = {
    "time": run_time,
    "processor": run_processor,
    "compile": run_compile,
    "bfloat16": run_bfloat16,
    "memory": run_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all where none is named")
    record_option(parser)
    options, found = parser.parse_args(), {}
    for name in options.parts or PARTS:
        print(name)
        found[name] = PARTS[name]()
    if options.record:
        write_result(options.record, found, note="milliseconds; compile: s; memory: GiB")


if __name__ == "__main__":
    main()
