"""RAFT on FlyingChairs as published: the first stage: batch norm is trained.

python train.py --config=configs/raft_chairs.py --workdir=RUN \\
    --data=tfds:flying_chairs:train@DIR

Reference: princeton-vl/RAFT, ``train_standard.sh``, ``core/datasets.py``. Not yet
run: it needs GPUs.
"""

from wrp_jax.config import Config, MotionConfig, MotionTrainingConfig


def get_config() -> Config:
    """The published options; the small network with --config.motion.name=raft_small."""
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="raft_large"),
        motion_training=MotionTrainingConfig(
            loss="sequence",
            steps=100_000,
            batch_size=10,
            crop=(368, 496),
            learning_rate=4e-4,
            weight_decay=1e-4,
            gamma=0.8,
            freeze_batch_norm=False,
            scale=(-0.1, 1.0),
            flips=(0.5, 0.1),
            jitter=0.4,
            hue=0.159,
            sparse=False,
        ),
    )
