"""Trains the stages that a config lists; the same as ``wrp train``.

python train.py --config=configs/folder.py --data=D --workdir=RUN [--config.key=value]
"""

import sys

from wrp_jax.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", sys.argv))
