"""Checkpoints whose bytes are checked, and the weights of finished stages.

Orbax makes a step all-or-nothing, but restores flipped bytes without a word and casts dtypes
silently. So every step carries a manifest: shape, dtype and SHA-256 of every leaf (of an array that
is split over devices: of every part), the position of the data iterator, and what the run was
trained on. A step that fails the check is set aside and the one before it is taken. The program's
version is noted and never compared.

A workdir holds ``checkpoints/<stage>/<step>/`` (Orbax), ``<stage>.npz`` (finished weights).
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging as absl_logging

from wrp_jax import __version__, processes
from wrp_jax.files.lock import check_place
from wrp_jax.machine import machine_error
from wrp_jax.runs.compatibility import check_metadata
from wrp_jax.runs.manifest import (
    DamagedError,
    as_json,
    describe_own,
    dtype_named,
    is_split,
    is_what_was_written,
    json_digest,
    leaf_names,
    merge,
    named_leaves,
)
from wrp_jax.runs.results import result_path
from wrp_jax.types import UserError

_OTHERS_SECONDS = 300  # for other processes to have written their parts of a step
_UNFINISHED = ".orbax-checkpoint-tmp"


def _is_told(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax's threads log: it raises the same errors later."""
    return not (record.exc_info and "orbax" in record.pathname)


absl_logging.get_absl_logger().addFilter(_is_told)


def checkpoints_of(workdir: str | os.PathLike, stage: str) -> Path:
    """Where the checkpoints of a stage stand."""
    return Path(workdir) / "checkpoints" / stage


def has_steps(directory: Path) -> bool:
    """Whether there is a step to go on from, intact or not; `Checkpoints.restore` starts anew
    only where there is none.

    Args:
      directory: ``workdir/checkpoints/<stage>``; it need not exist.
    """
    steps = ocp.path.step.standard_name_format().find_all(directory) if directory.is_dir() else ()
    return any(True for _ in steps)


def is_begun(workdir: str | os.PathLike, stage: str) -> bool:
    """Whether a stage is finished, or has a step to go on from."""
    return result_path(workdir, stage).exists() or has_steps(checkpoints_of(workdir, stage))


class Restored(NamedTuple):
    """What a checkpoint gives back.

    Attributes:
      step: number of finished steps.
      state: in the structure of the template, host numpy arrays.
      host_state: what stands beside the state: position of the data iterator, metrics that
        are not yet written.
    """

    step: int
    state: Any
    host_state: dict[str, Any]


class Checkpoints:
    """Steps of one stage, newest first, each verified before use.

    Saving takes the state to the host and returns; the files are written behind the next
    steps, which may donate the state. Of several processes, which all call the same methods, the
    first one saves, and says which step all of them read; where arrays are split over processes,
    each saves its parts, and a step counts once all are written.

    Args:
      directory: ``workdir/checkpoints/<stage>``.
      metadata: JSON-serialisable; what ``check_metadata`` compares (classes, fingerprint,
        config).
      keep: number of steps that stay on disk; two or more, or there is nothing to fall back to.
      split: whether arrays are split over processes.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        metadata: dict[str, Any],
        *,
        keep: int = 3,
        split: bool = False,
    ):
        self._directory = Path(directory).absolute()
        self._metadata = as_json(metadata)
        processes.first(lambda: self._directory.mkdir(parents=True, exist_ok=True))
        self._leads = jax.process_index() == 0
        self._split = split and jax.process_count() > 1
        self._reader = self._manager(keep if self._leads else None, _alone())
        self._writer = self._reader
        if self._split:
            self._writer = self._manager(keep, _together(self._directory.name))
        self._newest: int | None = None  # that was saved or restored
        self._failed = False

    def _manager(
        self, keep: int | None, together: ocp.options.MultiprocessingOptions
    ) -> ocp.CheckpointManager:
        return ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                create=False,
                cleanup_tmp_directories=keep is not None,  # what a killed run has half written
                multiprocessing_options=together,
                # Made in the background, folders that cannot be made leave threads that wait for
                # them, and the program with these, until the time is over.
                async_options=ocp.options.AsyncOptions(
                    timeout_secs=_OTHERS_SECONDS, create_directories_asynchronously=False
                ),
            ),
        )

    def save(self, step: int, state: Any, host_state: dict[str, Any]) -> None:
        """Starts to write a step; a step that exists already is left as it is.

        Args:
          step: number of finished steps.
          state: pytree of arrays; may be donated when this returns.
          host_state: JSON-serialisable.

        Raises:
          MachineError: this step or the one before cannot be written; those before are kept.
        """
        if not (self._leads or self._split) or step == self._newest:
            return
        if not self._split and step in self._writer.all_steps():
            return
        self._newest = step
        leaves = named_leaves(state)
        described = {name: describe_own(leaf) for name, leaf in leaves.items()}
        if self._split:
            described = merge(processes.gather(described) or [described])
        manifest = {
            "metadata": self._metadata,
            "version": __version__,
            "host_state": host_state,
            "leaves": described,
        }
        manifest["digest"] = json_digest(manifest)
        stored = {
            name: leaf if is_split(leaf) else np.asarray(leaf)
            for name, leaf in leaves.items()
            if np.size(leaf)  # Orbax refuses empty ones
        }
        check_place(self._directory)
        with self._writing():
            self._writer.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(stored), manifest=ocp.args.JsonSave(manifest)
                ),
            )

    def restore(self, template: Any) -> Restored | None:
        """The newest step whose bytes are what was written, or None where there is no step.

        Args:
          template: a state of the structure, shapes and dtypes that are expected.

        Raises:
          UserError: trained on something else (see ``check_metadata``), another network, or
            no step is intact.
        """
        restored: Restored | None = None

        def newest() -> int | None:
            nonlocal restored
            restored = self._restore(self._reader.all_steps(), template)
            return None if restored is None else restored.step

        step = self._newest = processes.first(newest)
        if step is not None and not self._leads:
            self._reader.reload()
            restored = self._restore([step], template)
        if self._split:
            self._writer.reload()
        return restored

    def _restore(self, among: Sequence[int], template: Any) -> Restored | None:
        steps = sorted(among, reverse=True)
        for position, step in enumerate(steps):
            try:
                manifest = self._read_manifest(step)
                check_metadata(self._directory, manifest["metadata"], self._metadata)
                _check_template(self._directory / str(step), manifest["leaves"], template)
                restored = self._read_state(step, manifest, template)
            except DamagedError as error:
                older = steps[position + 1 :]
                if not older or not self._leads:
                    raise UserError(
                        f"{self._directory}: no checkpoint is intact ({error}); delete this "
                        f"folder to train again from the start."
                    ) from error
                self._set_aside(step)
                print(
                    f"{self._directory / str(step)} is damaged ({error}); going on from step "
                    f"{older[0]}.",
                    file=sys.stderr,
                )
                continue
            return restored
        return None

    def wait(self) -> None:
        """Returns when everything that was saved is on disk.

        Raises:
          MachineError: the last step cannot be written; those before are kept.
        """
        with self._writing():
            self._writer.wait_until_finished()

    def close(self) -> None:
        """Waits, then ends the writer threads."""
        if self._split and isinstance(sys.exception(), jax.errors.JaxRuntimeError):
            return  # a process is no more: its part of the step would never come
        told = self._failed
        try:
            with self._writing():
                self._writer.close()
                if self._split:
                    self._reader.close()
        except Exception:
            if not told:  # else it says again what was said before
                raise
        finally:
            if self._failed:  # the disk is full: what is half written shall take no room
                for left in self._directory.glob(f"*{_UNFINISHED}*"):
                    shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Says what is wrong where Orbax, which writes behind our back, fails to write.

        Its errors come with a later call than the one that they belong to.
        """
        try:
            yield
            check_place(self._directory)
        except Exception as error:  # Orbax raises whatever its writers happen to raise
            self._failed = True
            check_place(self._directory)
            kept = [int(p.name) for p in self._directory.glob("*") if p.name.isdecimal()]
            what = f"{self._directory}: a checkpoint cannot be written"
            fault = machine_error(error, f"{what}, step {max(kept)} is kept" if kept else what)
            if fault is None:
                raise
            raise fault from error

    def _read_manifest(self, step: int) -> dict[str, Any]:
        try:
            manifest = self._reader.restore(
                step, args=ocp.args.Composite(manifest=ocp.args.JsonRestore())
            )["manifest"]
        except Exception as error:  # Orbax raises whatever its readers happen to raise.
            raise DamagedError("its manifest cannot be read") from error
        digest = manifest.pop("digest", None) if isinstance(manifest, dict) else None
        if digest is None or digest != json_digest(manifest):
            raise DamagedError("its manifest was changed")
        return manifest

    def _read_state(self, step: int, manifest: dict[str, Any], template: Any) -> Restored:
        expected = {
            name: np.empty(leaf["shape"], dtype_named(leaf["dtype"]))
            for name, leaf in manifest["leaves"].items()
        }
        try:
            leaves = self._reader.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(
                        {name: leaf for name, leaf in expected.items() if leaf.size}
                    )
                ),
            )["state"]
        except Exception as error:
            raise DamagedError("its arrays cannot be read") from error
        leaves = {name: np.asarray(leaves.get(name, leaf)) for name, leaf in expected.items()}
        for name, leaf in leaves.items():
            if not is_what_was_written(leaf, manifest["leaves"][name]):
                raise DamagedError(f"{name} is not what was written")
        names = leaf_names(template)
        state = jax.tree.unflatten(jax.tree.structure(template), [leaves[name] for name in names])
        return Restored(step, state, manifest["host_state"])

    def _set_aside(self, step: int) -> None:
        """Renames a damaged step, so that it can be looked at and its number is free again."""
        aside = self._directory.parent / "damaged"
        aside.mkdir(exist_ok=True)
        target = tempfile.mkdtemp(prefix=f"{self._directory.name}-{step}-", dir=aside)
        os.replace(self._directory / str(step), target)
        self._reader.reload()


def _alone() -> ocp.options.MultiprocessingOptions:
    """Orbax waits for no other process: one writes, each reads by itself."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process{index}"
    )


def _together(stage: str) -> ocp.options.MultiprocessingOptions:
    """All processes write, and wait for each other by way of the coordination service."""
    everyone = set(range(jax.process_count()))
    return ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes=everyone, barrier_sync_key_prefix=f"all-{stage}"
    )


def _check_template(where: Path, leaves: Mapping[str, Any], template: Any) -> None:
    expected = dict(zip(leaf_names(template), jax.tree.leaves(template), strict=True))
    advice = "give the same --config, or another --workdir."
    for name in sorted(set(expected) ^ set(leaves)):
        has, lacks = ("network", "checkpoint") if name in expected else ("checkpoint", "network")
        raise UserError(f"{where}: the {has} has {name}, the {lacks} has not: {advice}")
    for name, leaf in expected.items():
        dtype, shape = np.dtype(leaf.dtype).name, list(np.shape(leaf))
        if [dtype, shape] != [leaves[name]["dtype"], leaves[name]["shape"]]:
            raise UserError(
                f"{where}: {name} is {leaves[name]['dtype']} {leaves[name]['shape']}, the "
                f"network has {dtype} {shape}: {advice}"
            )
