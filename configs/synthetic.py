"""The paper's Fig. 1 on synthetic streets: twenty frames on both sides of each labelled one.

python propagate.py --config=configs/synthetic.py

This is the demo with more streets, longer clips and a longer training. Motion is ahead of
segmentation near the labelled frame and behind it far away. It takes some ten minutes on two cores.
"""

from wrp_jax.config import Config, PropagationConfig, RefinerConfig


def get_config() -> Config:
    """Twelve clips of 41 frames; their middle frames are the only labels."""
    config = Config(
        data="synthetic:clips=12,frames=41,height=112,width=192,seed=0",
        key_every=41,
        propagation=PropagationConfig(horizon=20),
        refiner=RefinerConfig(clips=24, steps=700, jitter=0.0),
    )
    config.segmentation.name = "light"
    config.segmentation.network.width = 16
    config.segmentation.sampling.crop = (96, 128)
    config.segmentation.sampling.scale = (0.5, 2.0)
    config.segmentation.optimiser.steps = 1200
    return config
