"""The tables and figures of the paper, each by one command.

  python -m experiments.paper table1 --data=D --config.test=TEST --workdir=W --config=FILE
  python -m experiments.paper fig8 --workdir=W

NAME is one of table1, table2, table3, table4, fig1, fig5, fig6, fig8, ablations. Without --config
synthetic streets are used at a size that takes minutes (experiments/configs/streets_smoke.py); with
experiments/configs/streets.py students gain. Stopped at any time, the same command goes on. Each
prints the paper's figures beside ours and writes results/paper_NAME_SUFFIX.json (--suffix), or says
which data set it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from experiments import record
from experiments.ablations import PARTS, STUDENTS, ablations
from experiments.labels import fig1, fig5, fig6
from experiments.servers import table2, table4
from experiments.setting import Setting
from experiments.students import fig8, table1, table3
from wrp_jax.cli import command_line
from wrp_jax.types import UserError

EXPERIMENTS: dict[str, Callable[[Setting], dict[str, Any] | None]] = {
    "table1": table1,
    "fig8": fig8,
    "fig1": fig1,
    "fig5": fig5,
    "fig6": fig6,
    "ablations": ablations,
    "table2": table2,
    "table3": table3,
    "table4": table4,
}

_OF_STUDENTS = frozenset({"table1", "table2", "table3", "table4", "fig8"})
_HERE = Path(__file__).parent


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    command_line.define_data()
    flags.DEFINE_string("workdir", None, "Where networks, labels and students go.")
    flags.DEFINE_string("windows", None, "List of windows, as of train.")
    flags.DEFINE_string("keyframes", None, "List of labelled frames, as of train.")
    flags.DEFINE_multi_string("stills", [], "ROOT:SPLITFILE, labelled frames without video.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of students and refiners.")
    flags.DEFINE_integer(
        "longer", 0, "Further steps of the row `baseline, longer`; 0: no such row.", lower_bound=0
    )
    flags.DEFINE_list("parts", [], f"ablations: which of {', '.join(PARTS)}; none: all.")
    flags.DEFINE_string("truth", None, "table4: KITTI's training, for its instances.")
    flags.DEFINE_string("suffix", "", "Ends the name of the result's file.")
    flags.DEFINE_string("results", str(record.RESULTS), "Folder of the results.")
    return command_line.define_config()


def main(name: str, command: str, config_flag: flags.FlagHolder) -> None:
    """Runs one experiment and writes its result.

    Args:
      name: of the experiment.
      command: as it was typed.
      config_flag: of the config.
    """
    options, config = flags.FLAGS, command_line.read_config(config_flag)
    command_line.require("workdir")
    data = options.data or config.data
    if not data:
        raise UserError("--data is missing: give the video.")
    parts = tuple(options.parts) or tuple(PARTS)
    of_students = name in _OF_STUDENTS or (name == "ablations" and {*parts} & {*STUDENTS})
    if of_students and not config.test:
        raise UserError("--config.test is missing: give what students are scored on.")
    if not all(seed.isdecimal() for seed in options.seeds) or not options.seeds:
        raise UserError(f"--seeds={','.join(options.seeds)} must be whole numbers.")
    setting = Setting(
        config=config,
        data=data,
        test=config.test,
        workdir=Path(options.workdir),
        seeds=tuple(map(int, options.seeds)),
        windows=options.windows,
        keyframes=options.keyframes,
        stills=tuple(options.stills),
        truth=Path(options.truth) if options.truth else None,
        parts=tuple(options.parts),
        longer=options.longer,
    )
    figures = EXPERIMENTS[name](setting)
    if figures is None:
        return
    path = record.write_result(
        f"paper_{name}{'_' if options.suffix else ''}{options.suffix}",
        {**figures, "cpu_minutes": setting.cpu_minutes()},
        command=command,
        seeds=setting.seeds,
        note=record.without_folders(
            f"{NOTES[name]}; data {data}" + (f"; test {config.test}" if config.test else "")
        ),
        folder=Path(options.results),
    )
    print(f"{path} holds these figures.")


NOTES = {
    "table1": "mIoU of students in %, by row and seed; share is of the oracle's gain",
    "fig8": "mIoU of students in %, by method and largest distance of the labels",
    "fig1": "mIoU of propagated labels in %, by method and distance",
    "fig5": "IoU of propagated labels in %, by method and class, averaged over distances",
    "fig6": "mIoU of propagated labels in %, by window, method and distance",
    "ablations": "mIoU of propagated labels and of students in %, by part and option",
    "table2": "IoU of students in %, by row",
    "table3": "Scores of students in %",
    "table4": "Scores of students in %, by row",
}
"""What the figures are, with their unit."""


def run(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    name, *rest = arguments or ["--help"]
    if name.startswith("-"):
        print(__doc__)
        return 0 if name in ("--help", "-h") else command_line.EXIT_USER_ERROR
    if name not in EXPERIMENTS:
        print(f"there is no experiment {name}: {', '.join(EXPERIMENTS)}.")
        return command_line.EXIT_USER_ERROR
    command = record.this_command()
    if not any(word.lstrip("-").partition("=")[0] == "config" for word in rest):
        rest.insert(0, f"--config={_HERE / 'configs' / 'streets_smoke.py'}")
    sys.argv = [f"experiments.paper {name}", *rest]
    holder = define_flags()
    return command_line.run(lambda: main(name, command, holder), __doc__)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
