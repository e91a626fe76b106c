"""Memory and exchange of a training step by number of devices: ``python -m benchmarks.devices``.

MSA-HRNet-OCR, crops of 1024x2048, 19 classes, one crop per device, SGD with momentum. Nothing is
run: all arrays are shapes. Three figures come from the rules of ``wrp_jax/sharding.py`` alone: the
state of a device, the gradients that are summed, and the parameters that are gathered (twice, for
the forward and the backward pass, in the type of the arithmetic). What a device holds at most
follows from the traced step, see ``benchmarks/traced_peak.py``, without and with remat: the state
that other devices have is taken off.

``--compile`` compiles each program as well (many minutes, 8 GiB), in a process of its own, for
devices that are not there. ``--compiler=v5p`` or ``v5e`` is the compiler of these TPUs, which runs
without one (``pip install libtpu``): what it sets aside is what a TPU takes. ``--compiler=cpu`` is
that of this machine, with simulated devices; its layouts and scratch memory say nothing of an
accelerator.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.record import record_option, write_result

GIB = 2**30
TOPOLOGIES = {
    "v5e": {1: "2x2", 4: "2x2", 16: "4x4", 64: "8x8", 256: "16x16"},
    "v5p": {1: "2x2x1", 4: "2x2x1", 16: "2x2x4", 64: "4x4x4", 256: "4x8x8"},
}
NO_TPU = {
    "TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    "TPU_WORKER_HOSTNAMES": "localhost", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}  # fmt: skip
"""What libtpu would ask the machine about."""
BYTES = {
    "pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "s32": 4, "u32": 4,
    "f32": 4, "s64": 8, "u64": 8, "f64": 8,
}  # fmt: skip
EXCHANGES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


def devices_of(compiler: str, count: int) -> Sequence[Any]:
    """So many devices of a kind; of a TPU their description."""
    import jax

    if compiler == "cpu":
        return jax.devices()[:count]
    from jax.experimental import topologies

    name = f"{compiler}:{TOPOLOGIES[compiler][count]}"
    return topologies.get_topology_desc(platform="tpu", topology_name=name).devices[:count]


def measure(o: argparse.Namespace) -> dict[str, float]:
    """GiB that a device holds and exchanges, of one program."""
    import jax

    from benchmarks.segmentation_memory import made
    from wrp_jax.sharding import batch_sharding, make_mesh, replicated, state_shardings
    from wrp_jax.training.loop import jit_step
    from wrp_jax.training.segmentation.stage import make_train_step

    # Speed is not what is looked at: the least work on it.
    jax.config.update("jax_exec_time_optimization_effort", -1.0)
    if o.compiler != "cpu":  # how some layers are computed goes by the backend
        jax.default_backend = lambda: "tpu"
    options = configured(o)
    mesh = make_mesh(devices_of(o.compiler if o.compile else "cpu", o.devices))
    network, loss, optimizer, state, images = made(tuple(o.size), o.devices, options)
    shardings = state_shardings(state, mesh, o.sharding)
    figures = by_rules(state, shardings, 2 if o.dtype == "bfloat16" else 4)
    if not o.compile:
        return figures
    step = make_train_step(network, optimizer, loss, ema_decay=0.0)
    key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))

    def laid(tree: Any, sharding: Any) -> Any:
        everywhere = jax.tree.map(lambda _: sharding, tree)
        return jax.tree.map(_laid, tree, everywhere)

    arguments = (
        laid(step, replicated(mesh)),
        jax.tree.map(_laid, state, shardings),
        laid(images, batch_sharding(mesh)),
        laid(key, replicated(mesh)),
        None,
    )
    program = jit_step(mesh, shardings).lower(*arguments).compile()
    text, found = program.as_text(), program.memory_analysis()
    if o.text:
        Path(o.text).write_text(text)
    return figures | {
        "arguments": found.argument_size_in_bytes / GIB,
        "of these reused": found.alias_size_in_bytes / GIB,
        "output": found.output_size_in_bytes / GIB,
        "temporaries": found.temp_size_in_bytes / GIB,
        **{name: size / GIB for name, size in exchanged(text, o.devices).items()},
    }


def by_rules(state: Any, shardings: Any, itemsize: int) -> dict[str, float]:
    """GiB of the state on one device, of the gradients, and of what is gathered in a step.

    Args:
      state: shapes.
      shardings: of them.
      itemsize: bytes of a number in the arithmetic.
    """
    import jax

    def total(tree: Any, layout: Any, count: Any) -> float:
        leaves = zip(jax.tree.leaves(tree), jax.tree.leaves(layout), strict=True)
        return sum(count(x, sharding) for x, sharding in leaves) / GIB

    def own(x: Any, sharding: Any) -> int:
        return math.prod(sharding.shard_shape(x.shape)) * x.dtype.itemsize

    def gathered(x: Any, sharding: Any) -> int:
        return 0 if sharding.is_fully_replicated else 2 * x.size * itemsize

    return {
        "state": total(state, shardings, own),
        "summed": total(state.params, shardings.params, lambda x, _: x.size * x.dtype.itemsize),
        "gathered": total(state.params, shardings.params, gathered),
    }


def at_most(o: argparse.Namespace) -> dict[str, float]:
    """GiB that one device holds at most in a step of one crop, all of the state included."""
    import dataclasses

    import jax

    from benchmarks.segmentation_memory import made
    from benchmarks.traced_peak import traced_peak
    from wrp_jax.training.segmentation.stage import make_train_step

    if o.compiler != "cpu":
        jax.default_backend = lambda: "tpu"
    options, found = configured(o), {}
    for name, remat in (("at most", False), ("at most, remat", True)):
        network = dataclasses.replace(options.network, remat=remat)
        built = made(tuple(o.size), 1, dataclasses.replace(options, network=network))
        step = make_train_step(built[0], built[2], built[1], ema_decay=0.0)
        key = jax.eval_shape(lambda: jax.random.key(0))
        found[name] = traced_peak(step, built[3], built[4], key) / GIB
    return found


def configured(o: argparse.Namespace) -> Any:
    """The network and how it is trained."""
    from wrp_jax.config import SegmentationConfig, SegmentationNetwork, SegmentationOptimiser
    from wrp_jax.models.segmentation import build
    from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr

    if o.shallow:
        build.REGISTRY["hrnet_ocr_mscale"] = lambda config, classes: HrnetOcr(
            classes, config.network.width, True, (0.5, 1.0), config.network.remat,
            build.ARITHMETIC[config.network.dtype].dtype, modules=(1, 1, 1), blocks=1,
        )  # fmt: skip
    return SegmentationConfig(
        name="hrnet_ocr_mscale",
        network=SegmentationNetwork(width=o.width, dtype=o.dtype, remat=o.remat),
        optimiser=SegmentationOptimiser(loss=o.loss),
    )


def _laid(x: Any, sharding: Any) -> Any:
    import jax

    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def exchanged(text: str, devices: int) -> dict[str, float]:
    """Bytes by kind of exchange, from an optimised program in HLO.

    Of what is summed, gathered or scattered the whole array counts, once, whatever way the network
    takes it: in a ring about that much goes in and out of each device for a gathering or a
    scattering, and twice as much for a sum.

    Args:
      text: of the program of one device.
      devices: that take part in every exchange.
    """
    found: dict[str, float] = dict.fromkeys(EXCHANGES, 0.0)
    names = "|".join(EXCHANGES)
    for result, name, start in re.findall(rf"= (.*?) ({names})(-start)?\(", text):
        share = 1.0
        if name == "reduce-scatter":
            share = devices  # its result is a part
        elif start and name == "all-gather":  # what begins also returns its operands: parts
            share = devices / (devices + 1)
        elif start and name != "all-reduce":  # and here they are as large as the result
            share = 0.5
        found[name] += share * sum(sizes(result))
    return found


def sizes(shapes: str) -> list[int]:
    """Bytes of each array in a type of HLO, such as ``(f32[3,4]{1,0}, bf16[])``."""
    found = []
    for kind, axes in re.findall(r"([a-z]+\d*)\[([\d,]*)\]", shapes):
        size = BYTES[kind]
        for axis in axes.split(","):
            size *= int(axis or 1)
        found.append(size)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048))
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--shallow", action="store_true", help="one module per stage, one block")
    parser.add_argument("--counts", type=int, nargs="+", default=(1, 4, 16, 64, 256))
    parser.add_argument("--compiler", choices=("cpu", *TOPOLOGIES), default="v5p")
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--loss", default="weighted")
    parser.add_argument("--sharding", nargs="+", default=("replicated", "fsdp"))
    parser.add_argument("--devices", type=int, help="this program alone, in this process")
    parser.add_argument("--text", help="with --devices: a file for the optimised program")
    record_option(parser)
    o = parser.parse_args()
    if o.devices:
        (o.sharding,) = o.sharding
        print(json.dumps(measure(o)))
        return
    figures: dict[str, dict[str, dict[str, float]]] = {}
    most = at_most(o)
    print(most, flush=True)
    for sharding in o.sharding:
        for count in o.counts:
            if count == 1 and sharding != o.sharding[0]:
                continue  # one device has all of it
            found = in_a_process(o, sharding, count)
            whole = figures.setdefault(o.sharding[0], {}).setdefault("1", found)["state"]
            found |= {name: size - whole + found["state"] for name, size in most.items()}
            figures.setdefault(sharding, {})[str(count)] = found
            print(sharding, count, found, flush=True)
            if o.record:
                write_result(o.record, figures, note=NOTE)


NOTE = (
    "GiB, per device: state; gradients that are summed; parameters that are gathered; what the "
    "traced step holds at most, unfused. Compiled: what the step is given, gives back (in the "
    "memory of the old state), sets aside, exchanges."
)


def in_a_process(o: argparse.Namespace, sharding: str, count: int) -> dict[str, float]:
    """One program, compiled in a process that has so many devices."""
    words = [f"--{name}={getattr(o, name)}" for name in ("width", "compiler", "dtype", "loss")]
    words += [f"--{name}" for name in ("remat", "shallow", "compile") if getattr(o, name)]
    words += ["--size", *map(str, o.size), f"--sharding={sharding}", f"--devices={count}"]
    simulated = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.devices", *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            **(NO_TPU if o.compile and o.compiler != "cpu" else simulated),
        },
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
