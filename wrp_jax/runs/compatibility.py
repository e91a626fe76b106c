"""Whether what was trained fits what is asked for now.

What an earlier version has trained holds its options in other places: they are brought to their
present ones first.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from wrp_jax.config import Config, translated
from wrp_jax.runs.manifest import as_json
from wrp_jax.types import UserError

_SHOWN = 4

OTHER_LABELS = (
    "give the same --data, --windows, --keyframes and --stills, or --update to go on from its "
    "networks with these labels, or another --workdir."
)
"""What to do where the labels are others than those that a run was trained on."""


def check_metadata(
    where: Any, trained: Mapping[str, Any], now: Mapping[str, Any], flag: str = "--workdir"
) -> None:
    """Refuses what was trained on something else.

    Args:
      where: run or file, for the message.
      trained: metadata of the checkpoint.
      now: metadata of this program call. Of ``classes`` (the content of a
        ``classes.json``; colours play no part in training), ``fingerprint`` and ``config`` those
        are compared that both have.
      flag: says where another run would go, for the message.

    Raises:
      UserError: with what differs.
    """
    both = {key for key in ("classes", "fingerprint", "config") if key in trained and key in now}
    if "classes" in both:
        old, new = _uncoloured(trained["classes"]), _uncoloured(as_json(now["classes"]))
        if old != new:
            raise UserError(_classes_differ(where, old, new, flag))
    if "fingerprint" in both and trained["fingerprint"] != now["fingerprint"]:
        raise UserError(
            f"{where} was trained on other labelled frames (fingerprint "
            f"{trained['fingerprint'][:12]}, now {now['fingerprint'][:12]}): {OTHER_LABELS}"
        )
    if "config" in both:
        changed = _changed(translated(trained["config"]), as_json(now["config"]))
        if changed:
            raise UserError(
                f"{where} was trained with another config ({_listed(changed)}): give the same "
                f"--config and options ({_flags(changed)}), or another {flag}."
            )


def check_network(
    where: Any, trained: Mapping[str, Any], config: Config, names: Sequence[str]
) -> None:
    """Refuses a config whose network is not the trained one.

    Args:
      where: the file, for the message.
      trained: its metadata.
      config: all options now.
      names: the options that decide which parameters there are, e.g.
        ``segmentation.network.width``.

    Raises:
      UserError: with what differs.
    """
    then = _leaves(translated(trained.get("config", {})))
    now = _leaves(as_json(dataclasses.asdict(config)))
    changed = [
        (name, then[name], now[name]) for name in names if name in then and then[name] != now[name]
    ]
    if changed:
        raise UserError(
            f"{where} holds another network ({_listed(changed)}): give the --config and options "
            f"that it was trained with ({_flags(changed)}), or train in another --workdir."
        )


def _uncoloured(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The classes of a ``classes.json`` without their colours."""
    return [{k: v for k, v in entry.items() if k != "color"} for entry in content["classes"]]


def _classes_differ(
    where: Any, old: list[dict[str, Any]], new: list[dict[str, Any]], flag: str
) -> str:
    def text(classes: list[dict[str, Any]]) -> str:
        names = [str(entry["name"]) for entry in classes]
        return f"{len(names)} classes ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"

    sentence = f"{where} was trained on {text(old)}, the data has {text(new)}"
    if len(old) == len(new):
        changed = next((pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]), None)
        if changed is not None:
            sentence += f"; the first that differs was {changed[0]} and is {changed[1]}"
    return f"{sentence}: give the same classes.json, or another {flag}."


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The options of a tree by ``group.name``."""
    found = {}
    for key, value in tree.items():
        inner = isinstance(value, Mapping)
        found |= _leaves(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


_Change = tuple[str, Any, Any]
"""Name of an option, what it was, what it is."""


def _changed(old: Any, new: Any, prefix: str = "") -> list[_Change]:
    """Every option that differs. One that the other tree does not have belongs to another version
    of the program and says nothing.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(set(old) & set(new)):
            found += _changed(old[key], new[key], f"{prefix}.{key}" if prefix else key)
        return found
    return [] if old == new else [(prefix, old, new)]


def _listed(changed: Sequence[_Change]) -> str:
    shown = [f"{name} was {old}, is {new}" for name, old, new in changed[:_SHOWN]]
    return "; ".join([*shown, *["…"] * (len(changed) > _SHOWN)])


def _flags(changed: Sequence[_Change]) -> str:
    """What brings the old options back, all of them, also where a default has changed since."""
    return shlex.join(f"--config.{name}={_as_typed(old)}" for name, old, _ in changed)


def _as_typed(value: Any) -> str:
    """A value from JSON as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(tuple(value)) if isinstance(value, list) else str(value)
