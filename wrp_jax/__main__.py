"""``python -m wrp_jax`` is ``wrp``."""

import sys

from wrp_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
