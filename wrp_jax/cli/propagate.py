"""``propagate.py`` without its flags: checks everything, then labels, scores and reports."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.files.lock import sole_writer
from wrp_jax.labelling.finish import finish, scores_text
from wrp_jax.labelling.plan import Plan, Request, check_free, claim, make_plan
from wrp_jax.labelling.run import label_windows
from wrp_jax.motion.build import reads_flow_files
from wrp_jax.motion.precomputed import check_flows
from wrp_jax.runs.networks import STANDS_STILL, Networks, load_networks, stages_to_train


def propagate(
    config: Config, request: Request, *, workdir: Path | None, train: bool = False
) -> dict[str, Any]:
    """Labels what the request asks for.

    Args:
      config: all options.
      request: what to label and where to write.
      workdir: of ``train.py``; None for methods that need none.
      train: without a workdir, trains the stages of the config in ``OUTPUT/training`` first.

    Returns:
      What ``metrics.json`` holds.

    Raises:
      UserError: a mistake in what was given; nothing has been written then. Another run writes
        to the same output.
    """
    plan = make_plan(config, request)
    check_free(plan)
    if reads_flow_files(config.motion) and not set(plan.methods) <= STANDS_STILL:
        check_flows(Path(config.motion.folder), plan.source, plan.windows)
    stages = stages_to_train(plan.methods, config) if train and workdir is None else ()
    training = dataclasses.replace(config, stages=stages)
    networks: Networks | None = None
    if stages:
        from wrp_jax.training.stages import check_stages

        check_stages(training)
    else:
        # Before the folder is made: weights may be missing.
        networks = _load(plan, workdir)
    with sole_writer(plan.output, "--output"):
        if networks is None:
            workdir = plan.output / "training"
            _train(training, plan, workdir)
            networks = _load(plan, workdir)
        claim(plan, networks.digest)
        metrics = finish(plan, label_windows(plan, networks), networks.trained_on)
    print(scores_text(metrics))
    for note in metrics["notes"]:
        print(note, file=sys.stderr)
    print(f"{plan.output / 'report.html'} shows the labels.", file=sys.stderr)
    return metrics


def _load(plan: Plan, workdir: Path | None) -> Networks:
    return load_networks(plan.config, plan.methods, plan.source, plan.windows, workdir)


def _train(config: Config, plan: Plan, workdir: Path) -> None:
    from wrp_jax.training.stages import run_stages

    known = KnownLabels(plan.source, plan.windows)
    with sole_writer(workdir, "--workdir"):
        run_stages(config, known, plan.source, plan.windows, workdir)
