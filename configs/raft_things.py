"""RAFT on FlyingThings3D as published: after raft_chairs.

python train.py --config=configs/raft_things.py --workdir=RUN \\
    --data=tfds:flying_things3d/cleanpass:train@DIR \\
    --config.motion.weights=RAFT_CHAIRS/motion.safetensors

Published are both passes: --config.motion_training.mix takes
('1 tfds:flying_things3d/finalpass:train@DIR',).

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
            batch_size=6,
            crop=(400, 720),
            learning_rate=1.25e-4,
            weight_decay=1e-4,
            gamma=0.8,
            freeze_batch_norm=True,
            scale=(-0.4, 0.8),
            flips=(0.5, 0.1),
            jitter=0.4,
            hue=0.159,
            sparse=False,
        ),
    )
