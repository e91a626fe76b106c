"""Carries the labels of a few frames to the frames around them.

python propagate.py --config=configs/folder.py --data=D --workdir=RUN --output=OUT

RUN is what train.py made; --method=static and --method=motion-only need none. The same command
goes on where it was stopped. With configs/demo.py nothing else is needed.
"""

import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from wrp_jax.cli import command_line

_CONFIG = command_line.define_config()
_DATA = flags.DEFINE_string("data", None, "A folder, tfds:NAME/CONFIG:SPLIT[@dir], synthetic:….")
_WORKDIR = flags.DEFINE_string("workdir", None, "What train.py made.")
_OUTPUT = flags.DEFINE_string("output", None, "Where labels, scores and the report go.")
_METHOD = flags.DEFINE_string(
    "method",
    "all",
    "all, static, motion-only, semantic-only, semantic-argmax, warp-inpaint or warp-refine.",
)
_WINDOWS = flags.DEFINE_string("windows", None, "List of '<sequence> <labelled> <first> <last>'.")
_KEYFRAMES = flags.DEFINE_string("keyframes", None, "List of labelled frames; every one if absent.")
_HORIZON = flags.DEFINE_integer("horizon", None, "Frames to label on both sides; the config's.")


def main() -> None:
    """Reads the flags and labels."""
    from wrp_jax.cli.propagate import propagate
    from wrp_jax.labelling.plan import Request
    from wrp_jax.types import UserError

    config = command_line.read_config(_CONFIG)
    data, output = _DATA.value or config.data, _OUTPUT.value
    if not data:
        raise UserError("--data is missing.")
    if not output:
        if _DATA.value:
            raise UserError("--output is missing.")
        output = f"{Path(config_flags.get_config_filename(flags.FLAGS['config'])).stem}_output"
    request = Request(
        data=data,
        output=Path(output),
        method=_METHOD.value,
        windows=_WINDOWS.value,
        keyframes=_KEYFRAMES.value,
        horizon=_HORIZON.value,
    )
    workdir = Path(_WORKDIR.value) if _WORKDIR.value else None
    propagate(config, request, workdir=workdir, train=not _DATA.value)


if __name__ == "__main__":
    sys.exit(command_line.run(main))
