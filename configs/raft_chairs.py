"""RAFT on FlyingChairs as published: the first stage; batch norm is trained.

python train.py --config=configs/raft_chairs.py --workdir=RUN \\
    --data=tfds:flying_chairs:train@DIR

Published with two GPUs; no figure is published for this stage alone. Not yet run: it needs
GPUs.
"""

from wrp_jax.config import Config, published_raft


def get_config() -> Config:
    """The stage's own options."""
    config = published_raft()
    stage = config.motion_training
    stage.optimiser.batch_size = 10
    stage.sampling.crop = (368, 496)
    stage.optimiser.learning_rate = 4e-4
    stage.optimiser.weight_decay = 1e-4
    stage.optimiser.gamma = 0.8
    stage.freeze_batch_norm = False
    stage.sampling.scale = (-0.1, 1.0)
    return config
