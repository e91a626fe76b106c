"""RAFT on KITTI 2015 as published: after raft_sintel; sparse flow.

python train.py --config=configs/raft_kitti.py --workdir=RUN \\
    --data=tfds:kitti_flow:train@DIR \\
    --config.motion.weights=RAFT_SINTEL/motion.safetensors

Published, with two GPUs: 5.10 % of outliers on KITTI 2015's test part (Teed and Deng, ECCV
2020, table 1). Not yet run: it needs GPUs.
"""

from wrp_jax.config import Config, published_raft


def get_config() -> Config:
    """The stage's own options."""
    config = published_raft()
    stage = config.motion_training
    stage.optimiser.steps = 50_000
    stage.sampling.crop = (288, 960)
    stage.optimiser.learning_rate = 1e-4
    stage.sampling.scale = (-0.2, 0.4)
    stage.sampling.flips = (0.0, 0.0)
    stage.sampling.jitter = 0.3
    stage.sampling.hue = 0.0955
    stage.sampling.sparse = True
    return config
