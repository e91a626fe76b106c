"""Trains the stages that a config lists, from labelled frames and the video around them.

python train.py --config=configs/folder.py --data=D --workdir=RUN [--config.key=value]
python train.py --config=configs/segment_folder.py --stills=D:LIST --workdir=RUN

The same command goes on where it was stopped. Without --data segmentation alone can be trained.
"""

import sys
from pathlib import Path

from absl import flags

from wrp_jax import command_line
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.lock import sole_writer
from wrp_jax.data.source import input_folder, open_source, validate
from wrp_jax.data.windows import choose_windows, whole_sequences
from wrp_jax.data.writers import check_output
from wrp_jax.flow import build_motion
from wrp_jax.models.refine import build_refiner
from wrp_jax.models.segmentation import build_segmentation
from wrp_jax.propagation.methods import check_options
from wrp_jax.training.stages import check_stages, reads_labels, run_stages
from wrp_jax.types import UserError, Window

_CONFIG = command_line.define_config()
_DATA = flags.DEFINE_string("data", None, "A folder, tfds:NAME/CONFIG:SPLIT[@dir], synthetic:….")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints, metrics and weights go.")
_WINDOWS = flags.DEFINE_string("windows", None, "List of windows; their labelled frames are known.")
_KEYFRAMES = flags.DEFINE_string("keyframes", None, "List of labelled frames; every one if absent.")
_STILLS = flags.DEFINE_multi_string("stills", [], "ROOT:SPLITFILE, labelled frames without video.")


def main() -> None:
    """Reads the flags and runs the stages."""
    config = command_line.read_config(_CONFIG)
    check_stages(config.stages)
    data, workdir = _DATA.value, _WORKDIR.value
    if not workdir or not (data or _STILLS.value):
        raise UserError("--data=FOLDER (or --stills=ROOT:LIST) and --workdir=FOLDER must be given.")
    if not data and tuple(config.stages) != ("segmentation",):
        raise UserError(
            f"--data is missing: the stages {', '.join(config.stages)} look at video; stills alone "
            "train --config.stages=segmentation, as in configs/segment_folder.py."
        )
    stills = [parse_stills(spec) for spec in _STILLS.value]
    labelled = reads_labels(config.stages)
    source = open_source(data, labelled=labelled) if data else stills[0][0]
    inputs = (data, *(still.name for still, _ in stills))
    check_output(Path(workdir), *(input_folder(spec) for spec in inputs if spec))
    windows: tuple[Window, ...] = ()
    if data and labelled:
        windows = choose_windows(
            source,
            windows=_WINDOWS.value,
            keyframes=_KEYFRAMES.value,
            key_every=config.key_every,
            horizon=config.propagation.horizon,
        )
        _check_names(config, source.classes.num_classes)
        validate(source, windows)
    elif data:
        validate(source, whole_sequences(source), labels=())
    known = KnownLabels(source, windows, stills)
    with sole_writer(Path(workdir), "--workdir"):
        run_stages(config, known, source, windows, workdir)


def _check_names(config: Config, num_classes: int) -> None:
    """Refuses networks and options that do not exist, before anything is written."""
    check_options(config.propagation)
    if "segmentation" in config.stages:
        build_segmentation(config.segmentation, num_classes)
    if "refiner" in config.stages:
        build_refiner(config.refiner)
        if "motion" not in config.stages:  # else its weights are yet to come
            build_motion(config.motion)


if __name__ == "__main__":
    sys.exit(command_line.run(main))
