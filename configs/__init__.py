"""Options for whole runs, one file each: ``--config=NAME``. Installed as ``wrp_jax.configs``."""
