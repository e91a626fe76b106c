"""HRNet-OCR out of ``torch.nn``, as one would write it in PyTorch, under the published names."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def conv(
    inputs: int, outputs: int, size: int = 3, stride: int = 1, bias: bool = False
) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=bias)


def unit(inputs: int, outputs: int, size: int = 3, stride: int = 1, relu: bool = True):
    layers = [conv(inputs, outputs, size, stride), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Basic(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.bn1 = conv(width, width), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + x, inplace=True)


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        same = inputs == 4 * width
        self.downsample = None if same else unit(inputs, 4 * width, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn3(self.conv3(y)) + shortcut, inplace=True)


class Exchange(nn.Module):
    def __init__(self, widths: list[int]):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(Basic(width) for _ in range(4))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._way(widths, i, j) for j in range(len(widths)))
            for i in range(len(widths))
        )

    @staticmethod
    def _way(widths: list[int], i: int, j: int) -> nn.Module:
        if j == i:
            return nn.Identity()
        if j > i:
            return unit(widths[j], widths[i], 1, relu=False)
        steps = [unit(widths[j], widths[j], stride=2) for _ in range(i - j - 1)]
        return nn.Sequential(*steps, unit(widths[j], widths[i], stride=2, relu=False))

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        xs = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        fused = []
        for i, ways in enumerate(self.fuse_layers):
            size = xs[i].shape[2:]
            total = None
            for j, (way, x) in enumerate(zip(ways, xs, strict=True)):
                y = bilinear(way(x), size) if j > i else way(x)
                total = y if total is None else total + y
            fused.append(F.relu(total))
        return fused


class Backbone(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        w = [width * 2**k for k in range(4)]
        self.conv1, self.bn1 = conv(3, 64, stride=2), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = conv(64, 64, stride=2), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(3)))
        down = [
            nn.Sequential(unit(n, m, stride=2)) for n, m in zip([256, *w[1:]], w[1:], strict=False)
        ]
        self.transition1 = nn.ModuleList([unit(256, w[0]), down[0]])
        self.transition2 = nn.ModuleList([nn.Identity(), nn.Identity(), down[1]])
        self.transition3 = nn.ModuleList([nn.Identity(), nn.Identity(), nn.Identity(), down[2]])
        self.stage2 = nn.Sequential(Exchange(w[:2]))
        self.stage3 = nn.Sequential(*(Exchange(w[:3]) for _ in range(4)))
        self.stage4 = nn.Sequential(*(Exchange(w) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x = self.layer1(x)
        xs = self.stage2([layer(x) for layer in self.transition1])
        xs = self.stage3([*xs, self.transition2[2](xs[-1])])
        xs = self.stage4([*xs, self.transition3[3](xs[-1])])
        return torch.cat([bilinear(x, xs[0].shape[2:]) for x in xs], 1)


def synced(width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def keys(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [conv(outputs if k else inputs, outputs, 1), synced(outputs)]
    return nn.Sequential(*layers)


class ObjectAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.f_pixel, self.f_object = keys(512, 256, 2), keys(512, 256, 2)
        self.f_down, self.f_up = keys(512, 256, 1), keys(256, 512, 1)

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        n, _, h, w = x.shape
        query = self.f_pixel(x).flatten(2).transpose(1, 2)
        key, value = self.f_object(regions).flatten(2), self.f_down(regions).flatten(2)
        attention = torch.softmax(256**-0.5 * query @ key, dim=-1)
        context = (attention @ value.transpose(1, 2)).transpose(1, 2)
        return self.f_up(context.reshape(n, 256, h, w))


class ContextHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.object_context_block = ObjectAttention()
        self.conv_bn_dropout = nn.Sequential(conv(1024, 512, 1), synced(512))

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        context = self.object_context_block(x, regions)
        return self.conv_bn_dropout(torch.cat([context, x], 1))


class OcrHead(nn.Module):
    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.conv3x3_ocr = nn.Sequential(conv(inputs, 512, bias=True), synced(512))
        self.ocr_distri_head = ContextHead()
        self.cls_head = conv(512, classes, 1, bias=True)
        first, last = conv(inputs, inputs, 1, bias=True), conv(inputs, classes, 1, bias=True)
        self.aux_head = nn.Sequential(first, synced(inputs), last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        aux, pixels = self.aux_head(x), self.conv3x3_ocr(x)
        share = torch.softmax(aux.flatten(2), dim=-1)
        regions = (share @ pixels.flatten(2).transpose(1, 2)).transpose(1, 2)[..., None]
        features = self.ocr_distri_head(pixels, regions)
        return features, self.cls_head(features), aux


class AttentionHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv0, self.bn0 = conv(512, 256), nn.BatchNorm2d(256)
        self.conv1, self.bn1 = conv(256, 256), nn.BatchNorm2d(256)
        self.conv2 = conv(256, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn0(self.conv0(x)), inplace=True)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return torch.sigmoid(self.conv2(x))


class HrnetOcr(nn.Module):
    """One look at normalised images; scores at their size."""

    def __init__(self, classes: int, width: int = 48, attention: bool = False):
        super().__init__()
        self.backbone, self.ocr = Backbone(width), OcrHead(15 * width, classes)
        self.scale_attn = AttentionHead() if attention else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, logits, aux = self.ocr(self.backbone(x))
        size = x.shape[2:]
        return bilinear(logits, size), bilinear(aux, size)
