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
    return published_raft(
        steps=50_000,
        crop=(288, 960),
        learning_rate=1e-4,
        scale=(-0.2, 0.4),
        flips=(0.0, 0.0),
        jitter=0.3,
        hue=0.0955,
        sparse=True,
    )
