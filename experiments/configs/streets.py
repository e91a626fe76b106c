"""Synthetic streets at a size at which students gain, in about 20 minutes of CPU time.

python train.py --config=experiments/configs/other_town.py --workdir=W/other_town \\
    --data=synthetic:clips=60,frames=2,height=80,width=128,seed=9000
python -m experiments.paper table1 --config=experiments/configs/streets.py --workdir=W \\
    --config.segmentation.weights=W/other_town/segmentation.npz

As in the paper, networks do not begin at random weights but at those of other, fully labelled
pictures. A network that begins at random weights is still far from fitting its labelled frames
after so short a training, and what does not fit few frames has no use for more of them.
"""

from wrp_jax.config import Config, RefinerConfig


def get_config() -> Config:
    """Four clips of a town, their middle frames labelled; 40 other streets of it for the test."""
    config = Config(
        data="synthetic:clips=4,frames=21,height=80,width=128,seed=0",
        test="synthetic:clips=40,frames=1,height=80,width=128,seed=5000,town=0",
        key_every=21,
        refiner=RefinerConfig(clips=8, steps=150, batch_size=8, jitter=0.0),
    )
    config.propagation.carrier = "composed"  # as labels of the tables moved
    config.segmentation.name = "light"
    config.segmentation.network.width = 12
    config.segmentation.sampling.crop = (64, 96)
    config.segmentation.sampling.scale = (0.7, 1.5)
    config.segmentation.sampling.augmentation = "published"
    config.segmentation.optimiser.batch_size = 4
    config.segmentation.optimiser.steps = 400
    return config
