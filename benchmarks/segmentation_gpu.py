"""HRNet-OCR on a GPU: images per second and the share of what the GPU can do.

``python -m benchmarks.segmentation_gpu``: forward pass and training step (main and auxiliary
cross entropy, SGD with momentum) at 512x1024, 19 classes, in bfloat16 (parameters, losses and
statistics float32), beside the same network out of ``torch.nn`` (eager, autocast, channels last).
``--size``, ``--batch``, ``--width`` and ``--mode tf32`` for other cases.
"""

from __future__ import annotations

import argparse
import functools
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory as well

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import torch.nn.functional as F

from benchmarks.accelerator import compiled, copy_rate, operations, product_rate, seconds
from benchmarks.hrnet_torch import HrnetOcr
from benchmarks.raft_gpu import torch_mode
from benchmarks.segmentation import CLASSES, MEAN, STD, train_step
from experiments.record import record_option, write_result
from wrp_jax.config import SegmentationConfig, SegmentationNetwork
from wrp_jax.models.network import ARITHMETIC
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.weights.published import fit_state_dict, nest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--batch", type=int, nargs=2, default=(8, 8), help="forward, training")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--mode", choices=ARITHMETIC, default="bfloat16")
    record_option(parser)
    options = parser.parse_args()
    found = {}
    place = "cuda" if torch.cuda.is_available() else "cpu"
    top = product_rate(options.mode, 8192 if place == "cuda" else 512)
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, torch {torch.__version__}")
    copied = copy_rate(2048 if place == "cuda" else 16)
    print(f"{options.mode} product {top / 1e12:.1f} TFLOP/s, copying {copied / 1e9:.0f} GB/s")

    theirs = HrnetOcr(CLASSES, options.width)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    variables = jax.tree.map(jnp.asarray, nest(fit_state_dict(state, "hrnet_ocr")[0]))
    theirs = theirs.to(place, memory_format=torch.channels_last)
    config = SegmentationConfig(
        name="hrnet_ocr", network=SegmentationNetwork(width=options.width, dtype=options.mode)
    )
    network = build_segmentation(config, CLASSES)

    for training, batch in enumerate(options.batch):
        rng = np.random.default_rng(0)
        image = rng.uniform(size=(batch, *options.size, 3)).astype(np.float32)
        labels = rng.integers(0, CLASSES, (batch, *options.size))
        case = (network, variables, jnp.asarray(image), jnp.asarray(labels))
        ours, count, made, loss = (our_training if training else our_forward)(*case)
        normalised = torch.from_numpy((image - MEAN) / STD).permute(0, 3, 1, 2).to(place)
        normalised = normalised.contiguous(memory_format=torch.channels_last)
        with torch_mode(options.mode, place):
            other, their_loss = (their_training if training else their_forward)(
                theirs, normalised, torch.from_numpy(labels).to(place), place
            )
        print(
            f"{'training step' if training else 'forward'}, {batch} images of {options.size}, W"
            f"{options.width}, {count / batch / 1e12:.2f} TFLOP per image:\n"
            f"  wrp_jax {1e3 * ours:8.1f} ms, {batch / ours:6.1f} images/s, "
            f"{count / ours / top:.0%} of a large product's rate; compiled in {made:.0f} s\n"
            f"  torch   {1e3 * other:8.1f} ms, {batch / other:6.1f} images/s: {other / ours:.2f}x "
            f"(first losses {loss:.4f}, {their_loss:.4f})",
            flush=True,
        )
        found["training step" if training else "forward"] = {
            "ours": batch / ours, "torch": batch / other, "share": 100 * count / ours / top,
            "compiling": made, "TFLOP": count / batch / 1e12,
        }  # fmt: skip
    if options.record:
        write_result(options.record, found, note="images per second; share in %; compiling in s")


def our_forward(network, variables, image, labels):
    def forward(variables, image):
        return network.apply(variables, image).logits

    program, made = compiled(forward, variables, image)
    time = seconds(functools.partial(program, variables, image), jax.block_until_ready)
    loss = optax.softmax_cross_entropy_with_integer_labels(program(variables, image), labels).mean()
    return time, operations(forward, variables, image), made, float(loss)


def our_training(network, variables, image, labels):
    optimizer = optax.sgd(1e-4, momentum=0.9)
    # Copies: the step takes over the memory of what it is given.
    state = [jax.tree.map(jnp.copy, variables), optimizer.init(variables["params"])]
    step = train_step(network, optimizer)
    program, made = compiled(step, *state, image, labels, donate_argnums=(0, 1))
    count = operations(step, *state, image, labels)

    def once():
        state[0], state[1], loss = program(*state, image, labels)
        return loss

    loss = float(once())
    return seconds(once, jax.block_until_ready), count, made, loss


def wait_for(place: str):
    return lambda _: torch.cuda.synchronize() if place == "cuda" else None


def their_forward(network, image, labels, place):
    network.eval()
    with torch.inference_mode():
        loss = F.cross_entropy(network(image)[0].float(), labels)
        return seconds(lambda: network(image)[0], wait_for(place)), float(loss)


def their_training(network, image, labels, place):
    network.train()
    sgd = torch.optim.SGD(network.parameters(), 1e-4, momentum=0.9)

    def once():
        sgd.zero_grad()
        logits, aux = (scores.float() for scores in network(image))
        loss = F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(aux, labels)
        loss.backward()
        sgd.step()
        return loss.detach()

    loss = float(once())
    return seconds(once, wait_for(place)), loss


if __name__ == "__main__":
    main()
