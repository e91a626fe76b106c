"""Furnishes a street: what stands where, who moves, and the light of the day."""

from __future__ import annotations

import numpy as np

from wrp_jax.data.synthetic import things
from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.road import lay_road
from wrp_jax.data.synthetic.scene import Scene, SceneBuilder
from wrp_jax.data.synthetic.town import Town

_VIEW = 95.0
"""How far ahead of the camera the street is furnished, metres."""


def lay_scene(config: SyntheticConfig, town: Town, rng: np.random.Generator) -> Scene:
    """Draws a street of ``town`` that is long enough for the camera's drive from z = 0."""
    length = config.frames * config.speed + _VIEW
    road = lay_road(rng, length, config.bend)
    b = SceneBuilder(town, road, rng, config.moving)
    build_up = rng.uniform(0.35, 0.95)
    for side in (-1, 1):
        _frontage(b, side, length, build_up)
        _kerbside(b, side, length, config)
    _traffic(b, length, config)
    if rng.random() < 0.5:
        things.gantry(b, rng.uniform(12, length - 30), road.half_width + 0.8)
    if config.clutter > 0 and rng.random() < 0.4:
        # Just above the lower edge of the picture, whatever its shape.
        edge = 0.5 * config.height / (config.focal * config.width)
        things.bonnet(b, edge * rng.uniform(0.78, 0.9))
    return b.build(**_daylight(b))


def _frontage(b: SceneBuilder, side: int, length: float, build_up: float) -> None:
    """Houses along one side, with gaps that hold trees, hedges and fences."""
    rng, road = b.rng, b.road
    z = -22.0
    while z < length:
        plot = rng.uniform(8, 20)
        middle = z + plot / 2
        if road.side_street(np.array(middle), plot / 2):
            z += 2.0
            continue
        edge = side * (road.half_width + road.pavement)
        if rng.random() < build_up:
            setback = rng.choice([0.0, 0.3, 3.0]) + rng.uniform(0, 0.4)
            things.house(b, middle, edge + side * setback, plot - 0.2, side)
            if setback > 2 and rng.random() < 0.6:
                things.fence(b, middle, edge + side * 0.3, plot)
        else:
            for _ in range(rng.integers(1, 4)):
                grow = things.tree if rng.random() < 0.7 else things.bush
                grow(b, z + rng.random() * plot, edge + side * rng.uniform(1.5, 9))
            if rng.random() < 0.7:
                things.fence(b, middle, edge + side * 0.3, plot)
        z += plot
    # What closes the view between and behind the houses.
    for z in np.arange(10.0, length + 25, 16.0):
        things.tree(b, z + rng.uniform(-4, 4), side * rng.uniform(20, 30))


def _kerbside(b: SceneBuilder, side: int, length: float, config: SyntheticConfig) -> None:
    """Parked cars, posts, signs, trees, people and clutter along one kerb."""
    rng, road = b.rng, b.road
    kerb = side * road.half_width
    # Parked cars leave the lane free.
    park = rng.uniform(0.0, 0.6) if road.half_width > 5.0 else 0.0
    avenue = rng.random() < 0.45
    z = rng.uniform(-4, 4)
    while z < length:
        z += rng.uniform(3.0, 6.5) / max(config.density, 1e-3)
        if road.side_street(np.array(z), 2.0):
            continue
        near, middle = kerb + side * 0.4, kerb + side * road.pavement * rng.uniform(0.3, 0.9)
        if rng.random() < park and not road.side_street(np.array(z), 5.0):
            things.car(b, z, kerb - side * 1.0, oncoming=side < 0)
        what = rng.random()
        if what < 0.17:
            things.lamp(b, z, near, side)
        elif what < 0.36:
            things.sign(b, z, near)
        elif what < (0.58 if avenue else 0.42):
            things.tree(b, z, near + side * 0.3)
        elif what < 0.72:
            walk = rng.choice([-1, 1]) * rng.uniform(0.05, 0.11) if rng.random() < 0.75 else 0.0
            things.person(b, z, middle, dz=walk)
        elif what < 0.72 + 0.26 * config.clutter:
            things.clutter(b, z, middle)


def _traffic(b: SceneBuilder, length: float, config: SyntheticConfig) -> None:
    """Cars on both lanes and people who cross."""
    rng, road = b.rng, b.road
    lane = road.half_width * 0.36
    ahead = rng.uniform(9, 22)
    for _ in range(rng.poisson(1.2 * config.density)):
        # Never slower than would let the camera run into them.
        things.car(b, ahead, lane, dz=config.speed * rng.uniform(0.85, 1.3))
        ahead += rng.uniform(14, 30)
    comes = rng.uniform(10, 30)
    for _ in range(rng.poisson(2.4 * config.density)):
        things.car(b, comes, -lane, dz=-rng.uniform(0.4, 0.9), oncoming=True)
        comes += rng.uniform(10, 30)
    for _ in range(rng.poisson(3.0 * config.density)):
        side = rng.choice([-1, 1])
        z = rng.uniform(7, 0.5 * length)
        start = side * rng.uniform(0.5, road.half_width + 1)
        things.person(b, z, start, dlateral=-side * rng.uniform(0.06, 0.12))


def _daylight(b: SceneBuilder) -> dict:
    """Sun, sky and haze of an hour of the day, as ``SceneBuilder.build`` takes them."""
    rng = b.rng
    hour = rng.choice(["clear", "overcast", "low"])
    around = rng.uniform(0, 2 * np.pi)
    height = {"clear": 0.9, "overcast": 1.2, "low": 0.3}[hour] + rng.uniform(-0.1, 0.1)
    sun = np.array(
        [np.cos(height) * np.cos(around), np.sin(height), np.cos(height) * np.sin(around)]
    )
    ambient = {"clear": 0.5, "overcast": 0.85, "low": 0.55}[hour]
    light = {
        "clear": (1.08, 1.05, 1.0),
        "overcast": (0.88, 0.9, 0.94),
        "low": (1.0, 0.9, 0.8),
    }[hour]
    density = rng.uniform(0.0005, 0.006) * (2 if hour == "overcast" else 1)
    veil = {"clear": (190, 205, 225), "overcast": (190, 193, 198), "low": (222, 202, 186)}[hour]
    return {
        "sun": sun,
        "ambient": ambient,
        "light": np.array(light) * rng.uniform(0.85, 1.1),
        "haze": (*veil, density),
        "sky": b.pick(f"sky_{hour}"),
    }
