"""g_ψ from weights in a file (``config.segmentation.weights``, or a package's), as a start.

The file is a published one, or ``segmentation.npz`` of another run: trained on Mapillary Vistas,
say, before Cityscapes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from wrp_jax.config import SegmentationConfig
from wrp_jax.models.network import Network
from wrp_jax.runs.results import SEGMENTATION, STUDENT, load_result, result_path
from wrp_jax.segmentation.for_classes import scores_of
from wrp_jax.segmentation.predictions import PRECOMPUTED
from wrp_jax.segmentation.published import is_of_a_run
from wrp_jax.types import ClassMap, UserError
from wrp_jax.weights.hrnet import CLASSIFIER
from wrp_jax.weights.segmentation import (
    check_start_file,
    laid_over,
    load_segmentation_weights,
    start_file,
)

_CLASSIFIERS = frozenset({*CLASSIFIER, "logits", "aux"})
"""Layers whose shapes depend on the number of classes, of the published networks and of ours."""


def initial_variables(
    network: Network,
    options: SegmentationConfig,
    classes: ClassMap,
    images: Any,
    seed: int,
    *,
    begun: bool = False,
) -> dict[str, Any]:
    """Random variables, with those replaced that a file holds, where there is one to start from.

    Args:
      network: of ``build_for_classes``.
      options: of the network.
      classes: of the data.
      images: as the network will get them.
      seed: of the random variables.
      begun: whether all are going to be replaced by a checkpoint's; the file may be gone then.

    Raises:
      UserError: the file is no start for this network and these classes.
    """
    key = jax.random.key(seed)
    loaded: dict[str, Any] = {}
    if begun:
        pass
    elif is_of_a_run(options):
        loaded = _of_a_run(options, classes, jax.eval_shape(network.init, key, images))
    elif start_file(options):
        loaded = load_segmentation_weights(options, scores_of(options, classes), whole=False)
    return laid_over(jax.jit(network.init)(key, images), loaded)


def check_start(options: SegmentationConfig) -> None:
    """Reads what the network starts from, before anything is trained.

    Raises:
      UserError: a package is missing, the file is missing, damaged or holds another network, or is
        not what a run calls its segmentation.
    """
    if options.name == PRECOMPUTED:
        return
    if is_of_a_run(options):
        load_result(*_result_of(options))
    else:
        check_start_file(options)


def _result_of(options: SegmentationConfig) -> tuple[Path, str]:
    """Workdir and stage of a run's result."""
    path = Path(options.weights)
    stage = path.stem
    if stage not in (SEGMENTATION, STUDENT) or path != result_path(path.parent, stage):
        raise UserError(f"{path} is no segmentation of a run: give RUN/{SEGMENTATION}.npz.")
    return path.parent, stage


def _of_a_run(options: SegmentationConfig, classes: ClassMap, shapes: Any) -> dict[str, Any]:
    """What a run made, all of it in ``shapes`` as well, without classifiers to be dropped.

    As with published files it may be a smaller network, which this one contains.
    """
    path = Path(options.weights)
    loaded, metadata = load_result(*_result_of(options))
    trained = [entry["name"] for entry in metadata["classes"]["classes"]]
    if not options.drop_classifier and trained != list(classes.names):
        raise UserError(
            f"{path} was trained on other classes ({', '.join(trained)}): train new last layers "
            "with --config.segmentation.drop_classifier=true."
        )
    found = flatten_dict({kind: loaded[kind] for kind in ("params", "batch_stats")})
    if options.drop_classifier:
        found = {name: x for name, x in found.items() if not _CLASSIFIERS & set(name)}
    wanted = {name: getattr(x, "shape", None) for name, x in flatten_dict(shapes).items()}
    if any(wanted.get(name) != getattr(x, "shape", None) for name, x in found.items()):
        raise UserError(
            f"{path} holds another network than config.segmentation.name={options.name} of this "
            "width: give --config.segmentation.name, width and learn_void as it was trained."
        )
    return unflatten_dict(found)
