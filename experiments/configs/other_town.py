"""What students of synthetic streets start from: single frames of another town.

python train.py --config=experiments/configs/other_town.py --workdir=W/other_town \\
    --data=synthetic:clips=60,frames=2,height=80,width=128,seed=9000

Networks of the paper start from Mapillary Vistas, where all is labelled and looks different.
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """60 streets of another town, one labelled frame each."""
    config = Config(
        stages=("segmentation",),
        key_every=2,
    )
    config.segmentation.name = "light"
    config.segmentation.network.width = 12
    config.segmentation.sampling.crop = (64, 96)
    config.segmentation.sampling.scale = (0.7, 1.5)
    config.segmentation.sampling.augmentation = "published"
    config.segmentation.optimiser.batch_size = 4
    config.segmentation.optimiser.steps = 1200
    return config
