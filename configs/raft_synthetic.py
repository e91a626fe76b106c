"""RAFT, the small one, on synthetic streets and flying pieces of their frames: no downloads.

python train.py --config=configs/raft_synthetic.py --workdir=RUN \\
    --data=synthetic:clips=64,frames=9,height=288,width=480,speed=1.2,town=none

The options of the first published stage at a smaller crop. Not yet run to its end: it needs a GPU.
"""

from wrp_jax.config import (
    Config,
    MotionConfig,
    MotionOptimiser,
    MotionSampling,
    MotionTrainingConfig,
)


def get_config() -> Config:
    """Half of the pairs are flying pieces."""
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="raft_small"),
        motion_training=MotionTrainingConfig(
            freeze_batch_norm=False,
            sampling=MotionSampling(
                crop=(256, 384),
                flying=0.5,
            ),
            optimiser=MotionOptimiser(
                loss="sequence",
                steps=50_000,
                batch_size=8,
                learning_rate=4e-4,
            ),
        ),
    )
