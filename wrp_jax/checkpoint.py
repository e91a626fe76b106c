"""Checkpoints whose bytes are checked, and the weights of finished stages.

Orbax makes a step all-or-nothing, but restores flipped bytes without a word and casts dtypes
silently. So every step carries a manifest: shape, dtype and SHA-256 of every leaf, the
position of the data iterator, and what the run was trained on. A step that fails the check is
set aside and the one before it is taken. The program's version is noted and never compared.

A workdir holds ``checkpoints/<stage>/<step>/`` (Orbax), ``<stage>.npz`` (finished weights).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from wrp_jax import __version__
from wrp_jax.data.writers import write_atomically
from wrp_jax.types import UserError

_RESULT_METADATA = "__metadata__"


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


class DamagedError(Exception):
    """A file exists but does not hold what was written."""


class Checkpoints:
    """Steps of one stage, newest first, each verified before use.

    Saving takes the state to the host and returns; the files are written behind the next
    steps, which may donate the state.

    Args:
      directory: ``workdir/checkpoints/<stage>``.
      metadata: JSON-serialisable; what ``check_metadata`` compares (classes, fingerprint,
        config).
      keep: number of steps that stay on disk; two or more, or there is nothing to fall back to.
    """

    def __init__(self, directory: str | os.PathLike, metadata: dict[str, Any], *, keep: int = 3):
        self._directory = Path(directory).absolute()
        self._metadata = _jsonable(metadata)
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
        )

    def save(self, step: int, state: Any, host_state: dict[str, Any]) -> None:
        """Starts to write a step; a step that exists already is left as it is.

        Args:
          step: number of finished steps.
          state: pytree of arrays; may be donated when this returns.
          host_state: JSON-serialisable.
        """
        if step in self._manager.all_steps():
            return
        leaves = _host_leaves(state)
        manifest = {
            "metadata": self._metadata,
            "version": __version__,
            "host_state": host_state,
            "leaves": {name: _describe(leaf) for name, leaf in leaves.items()},
        }
        manifest["digest"] = _json_digest(manifest)
        stored = {name: leaf for name, leaf in leaves.items() if leaf.size}  # Orbax refuses empty
        self._manager.save(
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
        steps = sorted(self._manager.all_steps(), reverse=True)
        for position, step in enumerate(steps):
            try:
                manifest = self._read_manifest(step)
                check_metadata(self._directory, manifest["metadata"], self._metadata)
                _check_template(self._directory / str(step), manifest["leaves"], template)
                restored = self._read_state(step, manifest, template)
            except DamagedError as error:
                older = steps[position + 1 :]
                if not older:
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
        """Returns when everything that was saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then ends the writer threads."""
        self._manager.close()

    def _read_manifest(self, step: int) -> dict[str, Any]:
        try:
            manifest = self._manager.restore(
                step, args=ocp.args.Composite(manifest=ocp.args.JsonRestore())
            )["manifest"]
        except Exception as error:  # Orbax raises whatever its readers happen to raise.
            raise DamagedError("its manifest cannot be read") from error
        digest = manifest.pop("digest", None) if isinstance(manifest, dict) else None
        if digest is None or digest != _json_digest(manifest):
            raise DamagedError("its manifest was changed")
        return manifest

    def _read_state(self, step: int, manifest: dict[str, Any], template: Any) -> Restored:
        expected = {
            name: np.empty(leaf["shape"], _dtype(leaf["dtype"]))
            for name, leaf in manifest["leaves"].items()
        }
        try:
            leaves = self._manager.restore(
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
            if _describe(leaf) != manifest["leaves"][name]:
                raise DamagedError(f"{name} is not what was written")
        names = _names(template)
        state = jax.tree.unflatten(jax.tree.structure(template), [leaves[name] for name in names])
        return Restored(step, state, manifest["host_state"])

    def _set_aside(self, step: int) -> None:
        """Renames a damaged step, so that it can be looked at and its number is free again."""
        if jax.process_index() == 0:
            aside = self._directory.parent / "damaged"
            aside.mkdir(exist_ok=True)
            target = tempfile.mkdtemp(prefix=f"{self._directory.name}-{step}-", dir=aside)
            os.replace(self._directory / str(step), target)
        self._manager.reload()


def save_result(
    workdir: str | os.PathLike, stage: str, variables: Any, metadata: dict[str, Any]
) -> None:
    """Writes the weights of a finished stage to ``workdir/<stage>.npz``, complete or not at all.

    Process 0 alone writes.

    Args:
      workdir: of the run.
      stage: e.g. ``segmentation``.
      variables: nested dict of arrays.
      metadata: JSON-serialisable; given back by ``load_result``.
    """
    leaves = _host_leaves(variables)
    if jax.process_index() != 0:
        return
    header = {
        "metadata": _jsonable(metadata),
        "version": __version__,
        "leaves": {name: _describe(leaf) for name, leaf in leaves.items()},
    }
    header["digest"] = _json_digest(header)
    # Raw bytes: .npz has no bfloat16, and the header says shape and dtype anyway.
    arrays: dict[str, Any] = {
        name: np.frombuffer(leaf.tobytes(), np.uint8) for name, leaf in leaves.items()
    }
    arrays[_RESULT_METADATA] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(result_path(workdir, stage), buffer.getvalue())


def load_result(workdir: str | os.PathLike, stage: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads ``(variables, metadata)`` of a finished stage, host numpy arrays.

    Raises:
      UserError: the stage is not finished, or the file is damaged.
    """
    path = result_path(workdir, stage)
    if not path.exists():
        raise UserError(
            f"{path} does not exist: train the stage '{stage}' first (train.py with the same "
            f"--workdir)."
        )
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop(_RESULT_METADATA).tobytes())
        digest = header.pop("digest")
        if digest != _json_digest(header) or set(arrays) != set(header["leaves"]):
            raise DamagedError
        variables: dict[str, Any] = {}
        for name, leaf in header["leaves"].items():
            value = np.frombuffer(arrays[name].tobytes(), _dtype(leaf["dtype"]))
            value = value.reshape(leaf["shape"])
            if _describe(value) != leaf:
                raise DamagedError
            *parents, last = name.split("/")
            node = variables
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    except Exception as error:  # A damaged zip makes zipfile and numpy raise nearly anything.
        raise UserError(
            f"{path} is damaged: delete it and run train.py again with the same --workdir."
        ) from error
    return variables, header["metadata"]


def result_path(workdir: str | os.PathLike, stage: str) -> Path:
    """Where the weights of a finished stage stand."""
    return Path(workdir) / f"{stage}.npz"


def check_metadata(where: Any, trained: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses what was trained on something else.

    Args:
      where: run or file, for the message.
      trained: metadata of the checkpoint.
      now: metadata of this program call. Of ``classes`` (the content of a
        ``classes.json``), ``fingerprint`` and ``config`` those are compared that both have.

    Raises:
      UserError: with what differs.
    """
    both = {key for key in ("classes", "fingerprint", "config") if key in trained and key in now}
    if "classes" in both and trained["classes"] != _jsonable(now["classes"]):
        raise UserError(_classes_differ(where, trained["classes"], now["classes"]))
    if "fingerprint" in both and trained["fingerprint"] != now["fingerprint"]:
        raise UserError(
            f"{where} was trained on other labelled frames (fingerprint "
            f"{trained['fingerprint'][:12]}, now {now['fingerprint'][:12]}): give the same --data, "
            f"--windows, --keyframes and --stills, or another --workdir."
        )
    if "config" in both:
        changed = _changed(trained["config"], _jsonable(now["config"]))
        if changed:
            raise UserError(
                f"{where} was trained with another config ({'; '.join(changed[:4])}): give the "
                f"same --config, or another --workdir."
            )


def check_network(
    where: Any, trained: Mapping[str, Any], group: str, options: Any, names: Sequence[str]
) -> None:
    """Refuses a config whose network is not the trained one.

    Args:
      where: the file, for the message.
      trained: its metadata.
      group: of the config, e.g. ``segmentation``.
      options: that group now.
      names: the options that decide which parameters there are.

    Raises:
      UserError: with what differs.
    """
    then = trained.get("config", {}).get(group, {})
    now = {name: _jsonable(getattr(options, name)) for name in names}
    changed = _changed({name: then[name] for name in names if name in then}, now, group)
    if changed:
        raise UserError(
            f"{where} holds another network ({'; '.join(changed)}): give the --config and options "
            "that train.py was given."
        )


def _names(tree: Any) -> list[str]:
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path in paths]


def _host_leaves(tree: Any) -> dict[str, np.ndarray]:
    """Leaves by path. On a CPU they are views; what a view shows, JAX does not donate in place."""
    names = _names(tree)
    if len(set(names)) != len(names):
        raise ValueError("two leaves have the same path")
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return dict(zip(names, leaves, strict=True))


def _describe(leaf: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(leaf).tobytes()).hexdigest()
    return {"shape": list(leaf.shape), "dtype": leaf.dtype.name, "sha256": digest}


def _dtype(name: str) -> np.dtype:
    return np.dtype(jax.numpy.dtype(name))


def _jsonable(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _json_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _check_template(where: Path, leaves: Mapping[str, Any], template: Any) -> None:
    expected = dict(zip(_names(template), jax.tree.leaves(template), strict=True))
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


def _classes_differ(where: Any, trained: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = trained["classes"], now["classes"]

    def text(classes: list[dict[str, Any]]) -> str:
        names = [str(entry["name"]) for entry in classes]
        return f"{len(names)} classes ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"

    sentence = f"{where} was trained on {text(old)}, the data has {text(new)}"
    if len(old) == len(new):
        changed = next((pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]), None)
        if changed is not None:
            sentence += f"; the first that differs was {changed[0]} and is {changed[1]}"
    return f"{sentence}: give the same classes.json, or another --workdir."


def _changed(old: Any, new: Any, prefix: str = "") -> list[str]:
    """``key was a, is b`` for every option that differs. One that the other tree does not have
    belongs to another version of the program and says nothing.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in sorted(set(old) & set(new)):
            lines += _changed(old[key], new[key], f"{prefix}.{key}" if prefix else key)
        return lines
    return [] if old == new else [f"{prefix} was {old}, is {new}"]
