"""What a workdir says of the run that it was made by: read back without being told again."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrp_jax.config import Config, check, translated
from wrp_jax.data.label_maps import read_classes
from wrp_jax.files.strict_json import read_json
from wrp_jax.runs.results import MOTION, REFINER, SEGMENTATION, STUDENT, result_path
from wrp_jax.types import ClassMap, UserError


def read_run(workdir: Path, *, needs_config: bool = True) -> tuple[Config, ClassMap]:
    """The options and the classes that a workdir was made with.

    Options of an earlier version are read into their present places. ``config.json`` does not
    hold which stages there were: a stage counts where its result is
    there.

    Args:
      workdir: of ``training.stages.run_stages``.
      needs_config: False where the caller has options of its own: ``config.json`` is passed over
        and the defaults are given back.

    Raises:
      UserError: the folder is no workdir, or a file in it is damaged or of another version.
    """
    path = workdir / "config.json"
    if not path.is_file():
        inside = workdir / "training"
        hint = f"; {inside} is one" if (inside / "config.json").is_file() else ""
        raise UserError(
            f"{workdir} is not what fit or train.py made: {path.name} is missing{hint}."
        )
    classes = read_classes(workdir / "classes.json")
    if not needs_config:
        return Config(), classes
    try:
        values = dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read: give the config as well.") from error
    config = config_from_json(Config, translated(values), str(path))
    check(config, str(path))
    config.stages = tuple(
        stage
        for stage in (MOTION, SEGMENTATION, REFINER, STUDENT)
        if result_path(workdir, stage).exists()
    )
    return config, classes


def config_from_json(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """A tree of options out of the JSON that ``dataclasses.asdict`` of it makes.

    Args:
      kind: dataclass of the tree.
      values: by name of an option; what is missing keeps its default.
      where: file, for the message.

    Raises:
      UserError: an option that there is not: the file is of another version, and to pass the
        option over would be to guess.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            raise UserError(
                f"{where} has an option {name} that this version does not have: give the config as "
                "well, for instance wrp_jax.load(RUN, config=...)."
            )
    return kind(**{name: _value(hints[name], value, where) for name, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return config_from_json(typing.cast(type, hint), value, where)
    return tuple(value) if typing.get_origin(hint) is tuple else value
