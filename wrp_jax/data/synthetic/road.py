"""The road: where it runs, and what covers the ground around it.

World axes: x right, y up, z ahead, in metres; the ground is y = 0. Things stand in road
coordinates: ``z`` along the road and ``lateral`` to the right of its centre line.
"""

from __future__ import annotations

import dataclasses

import numpy as np

ROAD, MARKING, PAVEMENT, TERRAIN = range(4)
"""What ``Road.surface`` answers."""


@dataclasses.dataclass(frozen=True)
class Road:
    """A two-way street with crossings.

    Attributes:
      sway: ``(amplitude m, wavelength m, phase rad)`` of each bend.
      half_width: of the carriageway.
      pavement: width of the pavement on each side.
      verge: how far from the centre the ground beyond the pavement starts to be terrain, left
        and right; beyond the houses, or in front of them.
      crossings: z of the side streets.
      side_half_width: half the width of the side streets.
      zebras: z of the zebra crossings.
      dash: length of a dash of the centre line and of the gap after it; 0: a solid line.
      edge_lines: whether the carriageway has lines along its edges.
    """

    sway: tuple[tuple[float, float, float], ...]
    half_width: float
    pavement: float
    verge: tuple[float, float]
    crossings: tuple[float, ...]
    side_half_width: float
    zebras: tuple[float, ...]
    dash: float
    edge_lines: bool

    def centre(self, z: np.ndarray) -> np.ndarray:
        """World x of the centre line at ``z``."""
        return sum(a * np.sin(2 * np.pi * z / w + p) for a, w, p in self.sway) + 0.0 * z

    def heading(self, z: np.ndarray) -> np.ndarray:
        """Yaw of the centre line at ``z`` in radians, positive to the right."""
        slope = sum(a * (2 * np.pi / w) * np.cos(2 * np.pi * z / w + p) for a, w, p in self.sway)
        return np.arctan(slope + 0.0 * z)

    def side_street(self, z: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """Whether ``z`` lies in a side street, widened by ``margin`` metres."""
        inside = np.zeros(np.shape(z), bool)
        for crossing in self.crossings:
            inside |= np.abs(z - crossing) < self.side_half_width + margin
        return inside

    def surface(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """What covers the ground at world ``(x, z)``: ROAD, MARKING, PAVEMENT or TERRAIN, uint8."""
        if not z.size:
            return np.zeros(0, np.uint8)
        # A table by the metre spares the sines; beyond two kilometres nothing can be told apart.
        knots = np.arange(np.floor(z.min()) - 1, min(np.ceil(z.max()), 2000.0) + 2, 1.0)
        lateral = x - np.interp(z, knots, self.centre(knots))
        aside = np.abs(lateral)
        crossing = self.side_street(z)
        road = (aside < self.half_width) | crossing
        beyond = np.where(lateral < 0, self.verge[0], self.verge[1])
        kind = np.where(road, ROAD, np.where(aside < beyond, PAVEMENT, TERRAIN)).astype(np.uint8)
        line = aside < 0.09
        if self.dash:
            line &= np.mod(z, 2 * self.dash) < self.dash
        if self.edge_lines:
            line |= np.abs(aside - (self.half_width - 0.25)) < 0.07
        line &= ~crossing
        for zebra in self.zebras:
            stripes = (np.abs(z - zebra) < 1.5) & (np.mod(lateral, 1.1) < 0.55)
            line |= stripes & (aside < self.half_width - 0.3)
        kind[line] = MARKING
        return kind


def lay_road(rng: np.random.Generator, length: float, bend: float) -> Road:
    """Draws a road of ``length`` metres from z = 0 on."""
    sway = tuple(
        (bend * rng.uniform(0.4, 1.0) * a, w * rng.uniform(0.8, 1.3), rng.uniform(0, 2 * np.pi))
        for a, w in ((7.0, 150.0), (1.2, 60.0))
    )
    half_width = rng.uniform(3.6, 6.8)
    pavement = rng.uniform(1.8, 4.0)
    crossings, z = [], rng.uniform(15, 70)
    while z < length:
        crossings.append(float(z))
        z += rng.uniform(45, 110)
    zebras = [z - 7.0 for z in crossings if rng.random() < 0.7]
    zebras += [float(z) for z in rng.uniform(0, length, rng.integers(0, 3))]
    verge = tuple(half_width + pavement + (0.0 if rng.random() < 0.4 else 14.0) for _ in range(2))
    return Road(
        sway=sway,
        half_width=half_width,
        pavement=pavement,
        verge=(verge[0], verge[1]),
        crossings=tuple(crossings),
        side_half_width=rng.uniform(3.0, 5.0),
        zebras=tuple(zebras),
        dash=float(rng.choice([0.0, 2.0, 3.0, 4.0])),
        edge_lines=bool(rng.random() < 0.6),
    )
