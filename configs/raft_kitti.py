"""RAFT on KITTI 2015 as published: after raft_sintel; sparse flow.

python train.py --config=configs/raft_kitti.py --workdir=RUN \\
    --data=tfds:kitti_flow:train@DIR \\
    --config.motion.weights=RAFT_SINTEL/motion.safetensors

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
            steps=50_000,
            batch_size=6,
            crop=(288, 960),
            learning_rate=1e-4,
            weight_decay=1e-5,
            gamma=0.85,
            freeze_batch_norm=True,
            scale=(-0.2, 0.4),
            flips=(0.0, 0.0),
            jitter=0.3,
            hue=0.0955,
            sparse=True,
        ),
    )
