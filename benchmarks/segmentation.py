"""HRNet-OCR against the same network out of ``torch.nn``: ``python -m benchmarks.segmentation``.

Forward pass and training step (main and auxiliary cross entropy, SGD with momentum) at 512x1024,
19 classes, one image, float32. ``--size 256 512 --rounds 3`` for less.
"""

from __future__ import annotations

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import torch.nn.functional as F

from benchmarks.hrnet_torch import HrnetOcr
from benchmarks.segmentation_memory import CLASSES
from benchmarks.timing import compare, report, threads
from experiments.record import record_option, write_result
from wrp_jax.config import SegmentationConfig, SegmentationNetwork
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.weights.published import fit_state_dict, nest

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--forward-only", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="for busy machines; use one core")
    record_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(threads())
    clock = time.process_time if options.cpu_time else time.perf_counter
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(1, *options.size, 3)).astype(np.float32)
    labels = rng.integers(0, CLASSES, (1, *options.size))

    theirs = HrnetOcr(CLASSES, options.width)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    variables = jax.tree.map(jnp.asarray, nest(fit_state_dict(state, "hrnet_ocr")[0]))
    network = build_segmentation(
        SegmentationConfig(name="hrnet_ocr", network=SegmentationNetwork(width=options.width)),
        CLASSES,
    )
    normalised = channels_last(image)
    print(f"HRNet-OCR W{options.width}, {options.size}, {threads()} threads each")

    forward = _compiled("forward", network.apply, variables, image)

    def torch_forward() -> torch.Tensor:
        with torch.inference_mode():
            return theirs(normalised)[0]

    theirs.eval()
    ours = np.asarray(forward(variables, image).logits)
    difference = np.abs(ours - torch_forward().permute(0, 2, 3, 1).numpy()).max()
    print(f"largest difference of the logits {difference:.1e} (deviation {ours.std():.1e})")
    functions = {"wrp_jax": lambda: forward(variables, image).logits, "torch": torch_forward}
    found = {"forward": compare(functions, options.rounds, clock)}
    report("Forward", found["forward"], "wrp_jax", "torch", 1)
    if not options.forward_only:
        found["training step"] = training_times(
            network, theirs, variables, image, labels, options.rounds, clock
        )
    if options.record:
        write_result(options.record, found, note="milliseconds for one image")


def training_times(network, theirs, variables, image, labels, rounds, clock) -> dict[str, float]:
    """Milliseconds of a training step of either."""
    optimizer = optax.sgd(1e-4, momentum=0.9)
    train = [variables, optimizer.init(variables["params"])]
    step = _compiled("training step", train_step(network, optimizer), *train, image, labels)

    def our_step() -> jax.Array:
        train[0], train[1], loss = step(*train, image, labels)
        return loss

    normalised = channels_last(image)
    theirs.train()
    sgd = torch.optim.SGD(theirs.parameters(), 1e-4, momentum=0.9)
    targets = torch.from_numpy(labels)

    def torch_step() -> float:
        sgd.zero_grad()
        logits, aux = theirs(normalised)
        loss = F.cross_entropy(logits, targets) + 0.4 * F.cross_entropy(aux, targets)
        loss.backward()
        sgd.step()
        return float(loss.detach())

    print(f"loss {float(our_step()):.5f}, torch {torch_step():.5f}")
    times = compare({"wrp_jax": our_step, "torch": torch_step}, rounds, clock)
    report("Training step", times, "wrp_jax", "torch", 1)
    return times


def channels_last(image: np.ndarray) -> torch.Tensor:
    """Normalised, in the layout that is faster."""
    pixels = torch.from_numpy((image - MEAN) / STD).permute(0, 3, 1, 2)
    return pixels.contiguous(memory_format=torch.channels_last)


def train_step(network, optimizer):
    def step(variables, state, image, labels):
        def loss(params):
            given = {**variables, "params": params}
            output, stats = network.apply(given, image, train=True)
            cross_entropy = optax.softmax_cross_entropy_with_integer_labels
            main = cross_entropy(output.logits, labels).mean()
            return main + 0.4 * cross_entropy(output.aux_logits, labels).mean(), stats

        (value, stats), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(gradient, state)
        params = optax.apply_updates(variables["params"], updates)
        return {"params": params, "batch_stats": stats}, state, value

    return step


def _compiled(name, function, *arguments):
    start = time.perf_counter()
    lowered = jax.jit(function).lower(*arguments)
    middle = time.perf_counter()
    cpu = time.process_time()
    compiled = lowered.compile()
    seconds, cpu = time.perf_counter() - middle, time.process_time() - cpu
    print(
        f"{name}: traced in {middle - start:.0f} s, compiled in {seconds:.0f} s ({cpu:.0f} s CPU)"
    )
    return compiled


if __name__ == "__main__":
    main()
