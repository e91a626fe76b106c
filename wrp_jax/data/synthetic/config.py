"""Options of the synthetic street videos and their classes."""

from __future__ import annotations

import dataclasses

import numpy as np

from wrp_jax.types import ClassMap, UserError

_CLASSES = (
    ("road", (128, 64, 128)),
    ("marking", (255, 255, 255)),
    ("pavement", (244, 35, 232)),
    ("terrain", (152, 251, 152)),
    ("building", (70, 70, 70)),
    ("fence", (190, 153, 153)),
    ("pole", (255, 170, 40)),
    ("sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("vehicle", (0, 0, 142)),
    ("void", (0, 0, 0)),
)

CLASSES = ClassMap(
    ids=tuple(range(len(_CLASSES))),
    names=tuple(name for name, _ in _CLASSES),
    colors=np.array([color for _, color in _CLASSES], np.uint8),
    void=tuple(name == "void" for name, _ in _CLASSES),
)
"""The twelve classes of every synthetic clip, and void last."""

INDEX = {name: index for index, name in enumerate(CLASSES.names)}
"""Class index by name."""


MAX_SEED = 2**63 - 1
_MAX_SIDE = 8192
_MAX_CLIP_PIXELS = 2**27  # of all frames: 21 of 4K fit; frames, labels and flows take 3.3 GiB
_MAX_FACTOR = 100.0


@dataclasses.dataclass(frozen=True)
class SyntheticConfig:
    """What one clip looks like. With the same seed, the same options give the same bytes.

    Attributes:
      height, width: picture size in pixels; any size from 1 x 1.
      frames: frames per clip.
      town: seed of the looks (facades, trees, cars, paving). Clips of one town share them, so
        a segmenter trained on some of its clips knows the others; None: a town per clip.
      focal: focal length in picture widths.
      speed: how far the camera drives, metres per frame.
      turn: strongest yaw beside the bends of the road, radians per frame.
      bend: how strongly the road bends; 0 is straight.
      shake: size of the camera's jitter; 1 is 0.1 degrees in pitch and 0.15 in yaw per frame.
      moving: factor on the speed of cars, people and leaves; 0 freezes them.
      density: factor on the number of things in the street.
      clutter: factor on the number of void things.
      noise: factor on photon and read noise; 0 is none.
      exposure: factor on the drift of the lighting; 0 is none.
      blur: standard deviation of the lens blur in pixels.
      jpeg: JPEG quality that the frames go through, 1 to 100; 0 leaves them alone.
    """

    height: int = 112
    width: int = 192
    frames: int = 21
    town: int | None = None
    focal: float = 0.85
    speed: float = 0.55
    turn: float = 0.008
    bend: float = 1.0
    shake: float = 0.7
    moving: float = 1.0
    density: float = 1.0
    clutter: float = 1.0
    noise: float = 1.0
    exposure: float = 1.0
    blur: float = 0.45
    jpeg: int = 88

    def __post_init__(self):
        """Raises ``UserError`` for what no clip can have, or no machine can render."""
        if min(self.height, self.width, self.frames) < 1:
            raise UserError(
                f"synthetic: {self.frames} frames of {self.height} x {self.width} is not a clip; "
                "give frames, height and width of at least 1"
            )
        if max(self.height, self.width) > _MAX_SIDE or (
            self.height * self.width * self.frames > _MAX_CLIP_PIXELS
        ):
            raise UserError(
                f"synthetic: {self.frames} frames of {self.height} x {self.width} are too much: "
                f"sides end at {_MAX_SIDE} pixels, and a clip, which is held in memory, at "
                f"{_MAX_CLIP_PIXELS} pixels in all"
            )
        if self.town is not None and not 0 <= self.town <= MAX_SEED:
            raise UserError(f"synthetic: town={self.town} is no seed; give 0 to {MAX_SEED}")
        if not 0 <= self.jpeg <= 100:
            raise UserError(f"synthetic: jpeg={self.jpeg} is not a quality; give 0 (off) to 100")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not 0 <= value <= _MAX_FACTOR:
                raise UserError(
                    f"synthetic: {field.name}={value} must be a number from 0 to {_MAX_FACTOR:g}"
                )
        if self.focal <= 0:
            raise UserError("synthetic: focal=0 sees nothing; give a focal length above 0")
