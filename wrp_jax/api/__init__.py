"""The Python API: what ``import wrp_jax`` gives, and what the commands are built on."""
