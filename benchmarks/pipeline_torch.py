"""A straightforward PyTorch and OpenCV pipeline, as one would write it: labels along DIS flow.

The light segmentation network out of ``torch.nn``, under the names of ours; OpenCV reads, warps
and writes. It makes the same files for a frame: labels, confidence and an overlay.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wrp_jax.types import ClassMap

TAU, PIXELS, SURE = 0.5, 1.5, 0.7


class Unit(nn.Module):
    """Convolution, norm and, if asked for, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, relu=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.norm, self.relu = nn.BatchNorm2d(outputs), relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = Unit(inputs, outputs, stride=stride)
        self.conv2 = Unit(outputs, outputs, relu=False)
        same = inputs == outputs
        self.shortcut = None if same else Unit(inputs, outputs, 1, relu=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        x = F.avg_pool2d(x, self.stride) if self.stride > 1 else x
        return F.relu((x if self.shortcut is None else self.shortcut(x)) + y)


class ObjectContext(nn.Module):
    def __init__(self, features: int, keys: int):
        super().__init__()
        self.query, self.key, self.value = (Unit(features, keys, 1) for _ in range(3))
        self.context, self.fuse = Unit(keys, features, 1), Unit(2 * features, features, 1)

    def forward(self, pixels: Tensor, logits: Tensor) -> Tensor:
        regions = torch.einsum("bcn,bfn->bfc", logits.flatten(2).softmax(-1), pixels.flatten(2))
        regions = regions[..., None]
        query, key, value = self.query(pixels), self.key(regions), self.value(regions)
        score = torch.einsum("bkhw,bkc->bchw", query, key[..., 0]) * query.shape[1] ** -0.5
        context = torch.einsum("bchw,bkc->bkhw", score.softmax(1), value[..., 0])
        return self.fuse(torch.cat([self.context(context), pixels], 1))


class Light(nn.Module):
    """``models/segmentation/light.py``."""

    def __init__(self, classes: int, w: int = 32, blocks: tuple[int, ...] = (1, 2, 2)):
        super().__init__()
        self.stem1, self.stem2 = Unit(12, w), Unit(w, 2 * w, stride=2)
        self.stages, before = [], 2 * w
        for stage, (count, features) in enumerate(zip(blocks, (2 * w, 4 * w, 8 * w), strict=True)):
            self.stages.append([])
            for block in range(count):
                made = Block(before, features, 2 if stage and not block else 1)
                self.add_module(f"stage{stage + 1}_block{block + 1}", made)
                self.stages[-1].append(made)
                before = features
        self.coarse, self.middle = Unit(8 * w, 4 * w, 1), Unit(4 * w, 4 * w, 1)
        self.pixels, self.aux_hidden = Unit(8 * w, 4 * w), Unit(4 * w, 2 * w, 1)
        self.aux, self.ocr = nn.Conv2d(2 * w, classes, 1), ObjectContext(4 * w, 2 * w)
        self.fine, self.top = Unit(2 * w, w, 1), Unit(4 * w, 2 * w, 1)
        self.decoder, self.logits = Unit(3 * w, 2 * w), nn.Conv2d(2 * w, 4 * classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images in 0 … 1 at their size."""
        size = images.shape[-2:]
        scale = min(1.0, (480 * 360 / (size[0] * size[1])) ** 0.5)
        if scale < 1:
            small = [max(1, round(side * scale)) for side in size]
            images = F.interpolate(images, small, mode="bilinear", antialias=True)
        height, width = images.shape[-2:]
        x = F.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")
        x = self.stem2(self.stem1(_in_blocks((x - 0.45) * 4)))
        found = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            found.append(x)
        pixels = torch.cat([self.middle(found[1]), _twice(self.coarse(found[2]))], 1)
        pixels = self.pixels(pixels)
        features = self.ocr(pixels, self.aux(self.aux_hidden(pixels)))
        x = self.decoder(torch.cat([_twice(self.top(features)), self.fine(found[0])], 1))
        x = _out_of_blocks(self.logits(x))[..., : -(-height // 2), : -(-width // 2)]
        return F.interpolate(x, size, mode="bilinear")


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)


def _in_blocks(x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(b, 4 * c, h // 2, w // 2)


def _out_of_blocks(x: Tensor) -> Tensor:
    b, d, h, w = x.shape
    x = x.reshape(b, 2, 2, d // 4, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(b, d // 4, 2 * h, 2 * w)


def light_of(variables: Mapping[str, Any], classes: int) -> Light:
    """The network with our weights."""
    network = Light(classes, variables["params"]["stem1"]["conv"]["kernel"].shape[-1]).eval()

    def at(kind: str, name: str, leaf: str) -> Tensor:
        value: Any = variables[kind]
        for part in (*name.split("."), leaf):
            value = value[part]
        return torch.tensor(np.asarray(value))

    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                kernel = at("params", name, "kernel")
                kernel = kernel if kernel.ndim == 4 else kernel[None, None]
                module.weight.copy_(kernel.permute(3, 2, 0, 1))
                if module.bias is not None:
                    module.bias.copy_(at("params", name, "bias"))
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(at("params", name, "scale"))
                module.bias.copy_(at("params", name, "bias"))
                module.running_mean.copy_(at("batch_stats", name, "mean"))
                module.running_var.copy_(at("batch_stats", name, "var"))
    return network


def label_clip(
    frames: list[Path],
    key: int,
    label: np.ndarray,
    classes: ClassMap,
    output: Path,
    dis: Any,
    network: Light | None = None,
) -> None:
    """Carries the label to all frames: by composed flow, and with a network inpainted by it."""
    for kind in ("labels", "confidence", "overlays"):
        (output / kind).mkdir(parents=True, exist_ok=True)
    for order in (range(key, len(frames)), range(key, -1, -1)):
        before, composed = None, None
        now, sure = label.astype(np.uint8), np.full(label.shape, 255, np.uint8)
        for i in order:
            image = cv2.imread(str(frames[i]))
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            if before is not None:
                flow = dis.calc(grey, before[1], None)
                grid = _grid(flow)
                if network is None:
                    far = flow if composed is None else flow + _remap(composed, grid)
                    composed, far = far, _grid(far)
                    now = cv2.remap(label.astype(np.uint8), far, None, cv2.INTER_NEAREST)
                else:
                    back = dis.calc(before[1], grey, None)
                    trusted = _trusted(image, before[0], flow, back, grid)
                    says, how = _segment(network, image)
                    moved = cv2.remap(now, grid, None, cv2.INTER_NEAREST)
                    now = np.where(trusted | (how < SURE), moved, says)
                    sure = np.rint(255 * how).astype(np.uint8)
            _write(output, frames[i].name, image, now, sure, classes)
            before = image, grey


def _grid(flow: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(flow.shape[:2], np.float32)
    return flow + np.stack([columns, rows], -1)


def _remap(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return cv2.remap(values, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _trusted(
    image: np.ndarray, before: np.ndarray, flow: np.ndarray, back: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    difference = (image.astype(np.float32) - _remap(before, grid)) / 255
    error = np.linalg.norm(flow + _remap(back, grid), axis=-1)
    return (np.linalg.norm(difference, axis=-1) < TAU) & (error < PIXELS)


def _segment(network: Light, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        x = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1)[None]
        how, says = network(x.float() / 255).softmax(1).max(1)
        return says[0].numpy().astype(np.uint8), how[0].numpy()


def _write(
    output: Path, name: str, image: np.ndarray, label: np.ndarray, sure: np.ndarray, classes
) -> None:
    colors = classes.colors[label][..., ::-1]
    overlay = cv2.addWeighted(image, 0.5, np.ascontiguousarray(colors), 0.5, 0)
    for kind, picture in (("labels", label), ("confidence", sure), ("overlays", overlay)):
        cv2.imwrite(str(output / kind / name), picture)
