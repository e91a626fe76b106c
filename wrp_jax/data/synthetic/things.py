"""What stands and moves in a street. Every function adds one thing to a ``SceneBuilder``.

Sizes are metres, speeds metres per frame. ``side`` is -1 left of the road and +1 right of it.
"""

from __future__ import annotations

import numpy as np

from wrp_jax.data.synthetic.config import INDEX
from wrp_jax.data.synthetic.scene import SceneBuilder


def _tint(rng: np.random.Generator, spread: float) -> np.ndarray:
    return rng.uniform(1 - spread, 1 + 0.5 * spread) * (1 + spread * 0.4 * (rng.random(3) - 0.5))


def house(b: SceneBuilder, z: float, lateral: float, length: float, side: int) -> None:
    """A house whose front faces the road; ``lateral`` is where its front stands."""
    rng = b.rng
    floors = int(rng.integers(2, 7))
    height, depth, ground = 3.0 * floors, 10.0, 3.4
    facade, wall, tint = b.pick("facade"), b.pick("wall"), _tint(rng, 0.25)
    b.place(z, lateral + side * depth / 2)
    front = "left" if side > 0 else "right"
    label = INDEX["building"]
    repeat = (max(round(length / 12), 1), floors / 4)
    side_texture = facade if rng.random() < 0.5 else wall
    b.box(
        (0, ground, 0),
        (depth, height, length),
        {front: (facade, repeat), "near": (side_texture, (1.0, floors / 4)), "far": wall},
        label,
        tint=tint,
    )
    shop = b.pick("shop") if rng.random() < 0.7 else wall
    b.box(
        (0, 0, 0),
        (depth, ground, length),
        {front: (shop, (max(round(length / 10), 1), 1.0)), "near": wall, "far": wall},
        label,
        tint=tint,
    )
    x = -side * (depth / 2 + 0.6)
    if rng.random() < 0.5:  # a board that sticks out: a building's, though it looks like a sign
        size = rng.uniform(0.7, 1.6)
        where = rng.uniform(-0.4, 0.4) * length
        b.upright(x, rng.uniform(2.6, 5.0), where, 1.0, size, b.pick("panel"), label, solid=True)
    if rng.random() < 0.4:  # balconies
        for floor in range(1, floors):
            b.box(
                (x, ground + 3.0 * floor - 1.8, rng.uniform(-0.1, 0.1) * length),
                (1.2, 1.0, length * 0.4),
                {front: wall, "near": wall},
                label,
                tint=0.8 * tint,
            )
    b.shadow(depth + 5, length, 0.35)


def tree(b: SceneBuilder, z: float, lateral: float) -> None:
    """A trunk and staggered crowns that sway."""
    rng = b.rng
    size, trunk = rng.uniform(2.6, 5.5), rng.uniform(1.6, 3.0)
    b.place(z, lateral)
    width = rng.uniform(0.22, 0.5)
    b.upright(0, 0, 0, width, trunk + 0.4 * size, b.pick("trunk"), INDEX["vegetation"])
    tint = _tint(rng, 0.35)
    for k, depth in enumerate((0.8, 0.0, -0.8)):
        b.upright(
            rng.uniform(-0.12, 0.12) * size,
            trunk + rng.uniform(-0.05, 0.15) * size,
            depth,
            size * rng.uniform(0.7, 1.0),
            size * rng.uniform(0.7, 1.0),
            b.pick("foliage"),
            INDEX["vegetation"],
            tint=tint * (0.8 + 0.15 * k),
            pivot=(0, 0, depth),
            swing=(0.012, rng.uniform(0.2, 0.6), rng.uniform(0, 6.3)),
        )
    b.shadow(size, size, 0.4, x=rng.uniform(-1, 1))


def bush(b: SceneBuilder, z: float, lateral: float) -> None:
    """A hedge across the line of sight."""
    width, height = b.rng.uniform(1.5, 4.0), b.rng.uniform(0.7, 1.8)
    b.place(z, lateral)
    tint = _tint(b.rng, 0.35)
    for depth in (0.5, -0.5):
        b.upright(
            0,
            0,
            depth,
            width,
            height,
            b.pick("bush"),
            INDEX["vegetation"],
            tint=tint * (1 - 0.3 * depth),
        )
    b.shadow(width, 1.6, 0.4)


def lamp(b: SceneBuilder, z: float, lateral: float, side: int) -> None:
    """A lamp post with an arm over the road."""
    rng = b.rng
    height, texture, tint = rng.uniform(4.5, 8.0), b.pick("pole"), _tint(rng, 0.4)
    b.place(z, lateral)
    b.upright(0, 0, 0, rng.uniform(0.14, 0.26), height, texture, INDEX["pole"], tint=tint)
    reach = rng.uniform(0.8, 2.0)
    b.upright(-side * reach / 2, height - 0.1, 0, reach, 0.1, texture, INDEX["pole"], tint=tint)
    b.upright(-side * reach, height - 0.2, 0, 0.5, 0.16, texture, INDEX["pole"], tint=1.3 * tint)


def sign(b: SceneBuilder, z: float, lateral: float) -> None:
    """A sign on a thin pole."""
    rng = b.rng
    height, size = rng.uniform(2.0, 3.2), rng.uniform(0.6, 1.1)
    b.place(z, lateral, yaw=rng.uniform(-0.25, 0.25))
    b.upright(0, 0, 0.03, 0.12, height + 0.2, b.pick("pole"), INDEX["pole"], tint=_tint(rng, 0.4))
    b.upright(0, height - size / 2, 0, size, size, b.pick("sign"), INDEX["sign"])
    if rng.random() < 0.3:
        b.upright(0, height - size, 0, size, 0.4, b.pick("panel"), INDEX["sign"])


def gantry(b: SceneBuilder, z: float, half_width: float) -> None:
    """A large sign over the road between two posts."""
    b.place(z, 0.0)
    texture = b.pick("pole")
    for x in (-half_width, half_width):
        b.upright(x, 0, 0, 0.25, 6.4, texture, INDEX["pole"])
    b.upright(0, 6.2, 0, 2 * half_width, 0.2, texture, INDEX["pole"])
    b.upright(
        b.rng.uniform(-2, 2), 4.9, -0.05, b.rng.uniform(2.5, 4), 1.6, b.pick("sign"), INDEX["sign"]
    )


def fence(b: SceneBuilder, z: float, lateral: float, length: float) -> None:
    """A fence along the road."""
    b.place(z, lateral)
    height, texture, tint = b.rng.uniform(0.9, 1.5), b.pick("fence"), _tint(b.rng, 0.4)
    b.quad(
        (0, height, length / 2),
        (0, 0, -length),
        (0, -height, 0),
        texture,
        INDEX["fence"],
        tint=tint,
        repeat=(max(round(length / 2.5), 1), 1.0),
    )


def person(
    b: SceneBuilder, z: float, lateral: float, dz: float = 0.0, dlateral: float = 0.0
) -> None:
    """Somebody who walks, legs swinging, or stands."""
    _figure(b, z, lateral, dz, dlateral, "torso", INDEX["person"])


def figure(b: SceneBuilder, z: float, lateral: float) -> None:
    """A statue: a person's shape, and void."""
    _figure(b, z, lateral, 0.0, 0.0, "figure", INDEX["void"])


def _figure(b: SceneBuilder, z, lateral, dz, dlateral, kind, label) -> None:
    rng = b.rng
    height = rng.uniform(1.55, 1.9)
    hip = 0.47 * height
    b.place(z, lateral, yaw=rng.uniform(-0.3, 0.3), dz=dz, dlateral=dlateral)
    texture = b.pick(kind)
    leg = texture if kind == "figure" else b.pick("leg")
    pace = max(abs(dz), abs(dlateral))
    swing = 0.5 if pace > 0 else 0.06 * (kind == "torso")
    rate, phase = 2 * np.pi * max(pace, 0.04) / 1.3, rng.uniform(0, 6.3)
    for k in (0, 1):
        b.upright(
            (k - 0.5) * 0.14,
            0,
            0.01 + 0.02 * k,
            0.2,
            hip * 1.04,
            leg,
            label,
            tint=(0.8 + 0.2 * k,) * 3,
            pivot=((k - 0.5) * 0.14, hip, 0),
            swing=(swing if k else -swing, rate, phase),
        )
    b.upright(0, hip * 0.93, 0, 0.33 * height, height - hip * 0.93, texture, label)
    b.shadow(0.7, 0.6, 0.45)


def car(b: SceneBuilder, z: float, lateral: float, *, dz: float = 0.0, oncoming: bool = False):
    """A car, with its front ahead unless it comes towards the camera."""
    rng = b.rng
    label = INDEX["vehicle"]
    bright = rng.choice([0.25, 0.5, 0.75, 1.05, 1.2])
    tint = bright * (1 + rng.choice([0.1, 0.5, 1.0]) * (rng.random(3) - 0.5))
    b.place(z, lateral, yaw=np.pi if oncoming else 0.0, dz=dz)
    b.shadow(2.1, 4.7, 0.6)
    kwargs = {"tint": tint}
    if rng.random() < 0.14:  # a van, a lorry or a bus
        length, height = rng.uniform(5.0, 9.0), rng.uniform(2.1, 3.2)
        side, end = b.pick("van_side"), b.pick("van_end")
        faces = {"near": end, "far": end, "left": side, "right": side}
        b.box((0, 0.05, 0), (2.1, height, length), faces, label, **kwargs)
        return
    length, width = rng.uniform(3.7, 4.7), rng.uniform(1.65, 1.9)
    side, top = b.pick("car_side"), b.pick("car_top")
    ends = {"near": b.pick("car_rear"), "far": b.pick("car_front")}
    b.box((0, 0.0, 0), (width, 0.92, length), {"left": side, "right": side}, label, **kwargs)
    b.box((0, 0.22, 0), (width, 0.7, length), ends, label, **kwargs)
    b.box((0, 0.22, 0), (width, 0.7, length), {"top": top}, label, **kwargs)
    window, glass = b.pick("cabin_side"), b.pick("cabin_end")
    cabin = {"near": glass, "far": glass, "left": window, "right": window, "top": top}
    size = (width * 0.9, rng.uniform(0.5, 0.7), length * rng.uniform(0.45, 0.62))
    b.box((0, 0.92, -0.08 * length), size, cabin, label, **kwargs)


def clutter(b: SceneBuilder, z: float, lateral: float) -> None:
    """Something of no class: a bin, a cart, a barrier, a heap, a statue."""
    rng = b.rng
    label = INDEX["void"]
    kind = rng.choice(["bin", "cart", "barrier", "heap", "figure"])
    if kind == "figure":
        figure(b, z, lateral)
        return
    b.place(z, lateral, yaw=rng.uniform(-0.5, 0.5))
    tint = _tint(rng, 0.4)
    if kind == "bin":
        size = rng.uniform(0.5, 0.8)
        texture = b.pick("bin")
        faces = dict.fromkeys(("near", "left", "right", "top"), texture)
        b.box((0, 0, 0), (size, size * 1.6, size), faces, label, tint=tint)
        b.shadow(size + 0.3, size + 0.3)
    elif kind == "cart":
        size = (rng.uniform(1.0, 1.8), rng.uniform(0.6, 1.3), rng.uniform(1.0, 2.5))
        texture = b.pick(str(rng.choice(["bin", "panel", "wall", "barrier"])))
        faces = dict.fromkeys(("near", "left", "right", "top"), texture)
        b.box((0, 0.35, 0), size, faces, label, tint=tint)
        b.upright(0, 0, -0.2, 0.5 * size[0], 0.4, b.pick("bin"), label, tint=(0.3,) * 3)
        b.shadow(size[0] + 0.2, size[2] + 0.2, 0.55)
    elif kind == "barrier":
        width = rng.uniform(1.0, 2.2)
        b.upright(0, 0.45, 0, width, 0.5, b.pick("barrier"), label, repeat=(2.0, 1.0))
        for x in (-0.4 * width, 0.4 * width):
            b.upright(x, 0, 0.02, 0.1, 0.95, b.pick("bin"), label)
    else:
        width = rng.uniform(0.8, 2.4)
        b.upright(0, 0, 0, width, width * rng.uniform(0.4, 0.8), b.pick("heap"), label, tint=tint)
        b.shadow(width, 0.8)


def bonnet(b: SceneBuilder, drop: float) -> None:
    """The bonnet of the camera's own car; ``drop`` is where it begins, in units of depth below."""
    b.place(0.0, 0.0)
    b.quad(
        (-1.1, -drop, 1.0),
        (2.2, 0, 0),
        (0, -0.3, 0),
        b.pick("bonnet"),
        INDEX["void"],
        mounted=True,
    )
