"""RAFT on FlyingThings3D as published: after raft_chairs.

python train.py --config=configs/raft_things.py --workdir=RUN \\
    --data=tfds:flying_things3d/cleanpass:train@DIR \\
    --config.motion.weights=RAFT_CHAIRS/motion.safetensors

Published are both passes: --config.motion_training.sampling.mix takes
('1 tfds:flying_things3d/finalpass:train@DIR',).

Published, with two GPUs: end-point error 1.43 (clean) and 2.71 (final) on Sintel's training
part, 5.04 on KITTI 2015 with 17.4 % of outliers (Teed and Deng, ECCV 2020, table 1). Not yet run:
it needs GPUs.
"""

from wrp_jax.config import Config, published_raft


def get_config() -> Config:
    """The stage's own options."""
    config = published_raft()
    stage = config.motion_training
    stage.sampling.crop = (400, 720)
    stage.optimiser.weight_decay = 1e-4
    stage.optimiser.gamma = 0.8
    stage.sampling.scale = (-0.4, 0.8)
    return config
