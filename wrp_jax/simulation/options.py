"""How strongly things happen in a simulated clip."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class SimulationOptions:
    """How strongly things happen.

    Attributes:
      steps: frames after the first.
      size: largest height and width; larger stills are cropped, not scaled.
      objects: at most this many pasted pieces.
      layers: at most this many regions of the still that move apart from their background.
      jitter: largest amplitude of the difference between two annotations' boundaries, pixels.
      bend: amplitude of the bending at the last step, pixels.
      gain: largest relative change of brightness and of a colour channel at the last step.
      noise: largest standard deviation of the sensor noise, grey levels of 255.
      blur: largest standard deviation of the optical blur, pixels.
      quality: range of the JPEG quality; the still's own compression is already in it.
    """

    steps: int = 10
    size: tuple[int, int] = (360, 480)
    objects: int = 5
    layers: int = 14
    jitter: float = 1.5
    bend: float = 6.0
    gain: float = 0.12
    noise: float = 3.0
    blur: float = 0.8
    quality: tuple[int, int] = (70, 98)
