"""RAFT on FlyingChairs as published: the first stage; batch norm is trained.

python train.py --config=configs/raft_chairs.py --workdir=RUN \\
    --data=tfds:flying_chairs:train@DIR

Published with two GPUs; no figure is published for this stage alone. Not yet run: it needs
GPUs.
"""

from wrp_jax.config import Config, published_raft


def get_config() -> Config:
    """The stage's own options."""
    return published_raft(
        batch_size=10,
        crop=(368, 496),
        learning_rate=4e-4,
        weight_decay=1e-4,
        gamma=0.8,
        freeze_batch_norm=False,
        scale=(-0.1, 1.0),
    )
