"""Synthetic streets, as small as says anything: minutes of CPU time for each row of Table 1."""

from wrp_jax.config import Config, RefinerConfig


def get_config() -> Config:
    """Eight clips of a town, their middle frames labelled; 40 other streets of it for the test."""
    config = Config(
        data="synthetic:clips=8,frames=21,height=80,width=128,seed=0",
        test="synthetic:clips=40,frames=1,height=80,width=128,seed=5000,town=0",
        key_every=21,
        refiner=RefinerConfig(clips=8, steps=150, batch_size=8, jitter=0.0),
    )
    config.propagation.carrier = "composed"  # as labels of the tables moved
    config.segmentation.name = "light"
    config.segmentation.network.width = 16
    config.segmentation.sampling.crop = (80, 96)
    config.segmentation.sampling.scale = (0.5, 2.0)
    config.segmentation.optimiser.steps = 300
    return config
