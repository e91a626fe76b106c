"""Training: one loop for every stage."""

from wrp_jax.training.loop import TrainingDivergedError, fit
from wrp_jax.training.state import (
    TrainState,
    apply_gradients,
    create_train_state,
    inference_variables,
)

__all__ = [
    "TrainState",
    "TrainingDivergedError",
    "apply_gradients",
    "create_train_state",
    "fit",
    "inference_variables",
]
