"""Synthetic streets at the size of the demo: an hour or two of CPU time for all of Table 1."""

from wrp_jax.config import Config, RefinerConfig


def get_config() -> Config:
    """24 clips of a town, their middle frames labelled; 120 other streets of it for the test."""
    config = Config(
        data="synthetic:clips=24,frames=21,height=112,width=192,seed=0",
        test="synthetic:clips=120,frames=1,height=112,width=192,seed=5000,town=0",
        key_every=21,
        refiner=RefinerConfig(clips=24, steps=500, jitter=0.0),
    )
    config.segmentation.network.width = 16
    config.segmentation.sampling.crop = (96, 128)
    config.segmentation.sampling.scale = (0.5, 2.0)
    config.segmentation.optimiser.steps = 1500
    return config
