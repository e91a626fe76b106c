"""What the training loop needs to know of a refiner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from wrp_jax.training.loop import TrainStep
from wrp_jax.training.pipeline import Transform


class TrainingSetup(NamedTuple):
    """What a refiner is trained with.

    Attributes:
      variables: before the first step: ``params`` and perhaps ``batch_stats``.
      examples: random access.
      train_step: for ``loop.fit``.
      transform: of an example, or None.
      constants: arrays that go with the trained variables.
    """

    variables: Mapping[str, Any]
    examples: Sequence[Any]
    train_step: TrainStep
    transform: Transform | None = None
    constants: Mapping[str, np.ndarray] = MappingProxyType({})
