"""RAFT on Sintel as published: after raft_things.

python train.py --config=configs/raft_sintel.py --workdir=RUN \\
    --data=tfds:sintel_flow/clean:train@DIR \\
    --config.motion.weights=RAFT_THINGS/motion.safetensors

Published is a mixture: --config.motion_training.mix takes "COUNT SPEC" for each further set, e.g.
('100 tfds:sintel_flow/final:train@DIR', '200 tfds:kitti_flow:train@DIR', '1 tfds:flying_things3d/
cleanpass:train@DIR'); all are augmented as dense flow here, and HD1K has no builder.

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
            crop=(368, 768),
            learning_rate=1.25e-4,
            weight_decay=1e-5,
            gamma=0.85,
            freeze_batch_norm=True,
            scale=(-0.2, 0.6),
            flips=(0.5, 0.1),
            jitter=0.4,
            hue=0.159,
            sparse=False,
        ),
    )
