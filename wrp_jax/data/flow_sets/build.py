"""Writes a published flow set as a TFDS data set in array_record."""

from __future__ import annotations

from pathlib import Path

from wrp_jax.data.flow_sets.builders import BUILDERS, FlowSetBuilder
from wrp_jax.data.tfds.prepare import prepare
from wrp_jax.files.digests import FileDigests
from wrp_jax.files.output import check_output
from wrp_jax.files.records import fingerprint
from wrp_jax.types import UserError


def build_flow_set(name: str, data: Path, output: Path, rendering: str | None = None) -> str:
    """Builds the data set, unless it is there already, of the same files.

    Args:
      name: a key of ``builders.BUILDERS``.
      data: the folder as published; ``builders`` says how.
      output: TFDS data directory to write into.
      rendering: ``cleanpass`` or ``finalpass``, ``clean`` or ``final``; the first by default.

    Returns:
      What to give as ``--data`` to read it, one per split.

    Raises:
      UserError: bad input; or see ``prepare``.
    """
    check_output(output, data)
    kind = BUILDERS[name]
    renderings = [option.name for option in kind.BUILDER_CONFIGS]
    if rendering is not None and rendering not in renderings:
        raise UserError(
            f"--pass={rendering}: {name} has {', '.join(renderings) or 'one rendering only'}."
        )
    chosen = rendering or (renderings[0] if renderings else None)

    def make() -> FlowSetBuilder:
        return kind(config=chosen, data_dir=str(output))

    splits = make().files(data)

    def made_from(files: FileDigests) -> str:
        pairs = [(split, pair) for split, pairs in splits.items() for pair in pairs]
        return fingerprint(
            [(split, p.name, *map(files.of, (p.first, p.second, p.flow))) for split, p in pairs]
        )

    return prepare(make, data, output, made_from)
