"""Ω of a run."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from wrp_jax.config import Config
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.propagation.chooser.network_inputs import is_of_chooser
from wrp_jax.runs.compatibility import check_metadata, check_network
from wrp_jax.runs.results import REFINER, load_result, result_path
from wrp_jax.types import ClassMap, UserError

LOG_TAU = "log_tau"


def take_tau(params: Any) -> tuple[Any, Any]:
    """Parameters of Ω without log τ, and log τ, or None where it was not learnt."""
    return {k: v for k, v in params.items() if k != LOG_TAU}, params.get(LOG_TAU)


class TrainedRefiner(NamedTuple):
    """A trained Ω.

    Attributes:
      network: Ω.
      variables: its parameters and statistics.
      tau: τ of eq. 6 that was learnt along with it, or None.
      reliability: ``[classes, 2]``, of g_ψ where it was trained; None for the paper's Ω.
    """

    network: Network
    variables: Any
    tau: float | None = None
    reliability: np.ndarray | None = None


def load_refiner(workdir: str | os.PathLike, config: Config, classes: ClassMap) -> TrainedRefiner:
    """Reads a trained Ω back.

    Raises:
      UserError: not trained yet, a damaged file, trained on other classes or as another
        network, or a chooser of an earlier version.
    """
    variables, metadata = load_result(workdir, REFINER)
    path = result_path(workdir, REFINER)
    check_metadata(path, metadata, {"classes": classes_to_json(classes)})
    sizes = [f"refiner.{name}" for name in ("name", "width", "class_width", "class_convs")]
    check_network(path, metadata, config, sizes)
    params, log_tau = take_tau(variables["params"])
    tau = None if log_tau is None else float(np.exp(log_tau))
    expected = variables.pop("reliability", None)
    variables, network = {**variables, "params": params}, build_refiner(config.refiner)
    if config.refiner.name != "pix2pix" and (
        expected is None or not is_of_chooser(network, variables)
    ):
        raise UserError(
            f"{path} is of an earlier version, whose chooser was another network: delete it and "
            f"{os.path.join(workdir, 'checkpoints', REFINER)}, and run train.py again."
        )
    return TrainedRefiner(network, variables, tau, expected)
