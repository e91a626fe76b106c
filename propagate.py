"""Carries the labels of a few frames to the frames around them; the same as ``wrp propagate``.

python propagate.py --config=configs/folder.py --data=D --workdir=RUN --output=OUT
"""

import sys

from wrp_jax.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("propagate", sys.argv))
