"""RAFT large in PyTorch, from its public layers alone: what ours is timed against.

Written from the description of the network (Teed and Deng, ECCV 2020); names are those of the
published weights. ``benchmarks.raft`` takes torchvision's network instead where it is installed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Norm(nn.Module):
    """Instance norm without parameters."""

    def __init__(self, width: int):
        super().__init__()
        del width

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x)


class Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int, norm: type[nn.Module]):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.norm1, self.norm2 = norm(width), norm(width)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    def __init__(self, norm: type[nn.Module]):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 64, 7, 2, 3), norm(64)
        self.layer1 = nn.Sequential(Block(64, 64, 1, norm), Block(64, 64, 1, norm))
        self.layer2 = nn.Sequential(Block(64, 96, 2, norm), Block(96, 96, 1, norm))
        self.layer3 = nn.Sequential(Block(96, 128, 2, norm), Block(128, 128, 1, norm))
        self.conv2 = nn.Conv2d(128, 256, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class MotionEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.convc1, self.convc2 = nn.Conv2d(324, 256, 1), nn.Conv2d(256, 192, 3, padding=1)
        self.convf1, self.convf2 = nn.Conv2d(2, 128, 7, padding=3), nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(256, 126, 3, padding=1)

    def forward(self, flow: Tensor, samples: Tensor) -> Tensor:
        c = F.relu(self.convc2(F.relu(self.convc1(samples))))
        f = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([c, f], 1))), flow], 1)


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        for suffix, size in (("1", (1, 5)), ("2", (5, 1))):
            for gate in "zrq":
                layer = nn.Conv2d(384, 128, size, padding=(size[0] // 2, size[1] // 2))
                self.add_module(f"conv{gate}{suffix}", layer)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        for suffix in "12":
            z, r, q = (getattr(self, f"conv{gate}{suffix}") for gate in "zrq")
            hx = torch.cat([h, x], 1)
            keep = torch.sigmoid(z(hx))
            new = torch.tanh(q(torch.cat([torch.sigmoid(r(hx)) * h, x], 1)))
            h = (1 - keep) * h + keep * new
        return h


class FlowHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(128, 256, 3, 1, 1), nn.Conv2d(256, 2, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x)))


class UpdateBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.gru, self.flow_head = MotionEncoder(), Gru(), FlowHead()
        self.mask = nn.Sequential(nn.Conv2d(128, 256, 3, 1, 1), nn.ReLU(), nn.Conv2d(256, 576, 1))


def grid(b: int, h: int, w: int, device: torch.device) -> Tensor:
    """``(x, y)`` of every pixel, channels first."""
    rows, columns = torch.arange(h, device=device), torch.arange(w, device=device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y]).float()[None].expand(b, -1, -1, -1)


def pyramid_of(first: Tensor, second: Tensor) -> list[Tensor]:
    b, c, h, w = first.shape
    volume = torch.einsum("bcp,bcq->bpq", first.flatten(2), second.flatten(2)) / c**0.5
    levels = [volume.reshape(b * h * w, 1, h, w)]
    for _ in range(3):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def lookup(levels: list[Tensor], points: Tensor, radius: int = 4) -> Tensor:
    b, _, h, w = points.shape
    side = torch.arange(-radius, radius + 1, dtype=torch.float32, device=points.device)
    dx, dy = torch.meshgrid(side, side, indexing="ij")  # x is the slow one
    window = torch.stack([dx, dy], -1)[None]
    points = points.permute(0, 2, 3, 1).reshape(b * h * w, 1, 1, 2)
    samples = []
    for level, volume in enumerate(levels):
        size = side.new_tensor([volume.shape[3] - 1, volume.shape[2] - 1])
        place = 2 * (points / 2**level + window) / size - 1
        sampled = F.grid_sample(volume, place, align_corners=True)
        samples.append(sampled.reshape(b, h, w, -1))
    return torch.cat(samples, -1).permute(0, 3, 1, 2).contiguous()


def upsample(flow: Tensor, mask: Tensor) -> Tensor:
    b, _, h, w = flow.shape
    weights = mask.reshape(b, 1, 9, 8, 8, h, w).softmax(2)
    near = F.unfold(8 * flow, 3, padding=1).reshape(b, 2, 9, 1, 1, h, w)
    fine = (weights * near).sum(2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(b, 2, 8 * h, 8 * w)


class RaftLarge(nn.Module):
    """Flow on the first of two RGB images (0 … 255, channels first) into the second."""

    def __init__(self, iterations: int = 12):
        super().__init__()
        self.iterations = iterations
        self.fnet, self.cnet = Encoder(Norm), Encoder(nn.BatchNorm2d)
        self.update_block = UpdateBlock()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        first, second = (2 * (x / 255) - 1 for x in (first, second))
        one, two = self.fnet(torch.cat([first, second])).chunk(2)
        levels = pyramid_of(one, two)
        context = self.cnet(first)
        hidden, context = torch.tanh(context[:, :128]), F.relu(context[:, 128:])
        start = grid(len(first), *hidden.shape[2:], first.device)
        points, block = start, self.update_block
        for _ in range(self.iterations):
            motion = block.encoder(points - start, lookup(levels, points))
            hidden = block.gru(hidden, torch.cat([context, motion], 1))
            points = points + block.flow_head(hidden)
        # Like ours, and unlike the releases, only the last flow is brought to full size.
        return upsample(points - start, 0.25 * block.mask(hidden))


def load_plain(state: dict[str, Tensor], iterations: int = 12) -> nn.Module:
    """The network with weights of the original release's names."""
    network = RaftLarge(iterations).eval()
    duplicates = {name for name in state if ".norm3." in name}
    network.load_state_dict({n: w for n, w in state.items() if n not in duplicates})
    return network
