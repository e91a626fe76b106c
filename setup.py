"""The packages: those of ``wrp_jax/``, and ``configs/`` as ``wrp_jax.configs``.

pyproject.toml says all else. It can either search for packages or name each of them; here one is
added to what a search finds.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["wrp_jax", "wrp_jax.*"]), "wrp_jax.configs"],
    package_dir={"wrp_jax.configs": "configs"},
)
