"""A small network that corrects DIS flow, from synthetic pairs alone; a CPU is enough.

python train.py --config=configs/refined_dis.py --workdir=RUN \\
    --data=synthetic:clips=14,frames=4,height=240,width=320,speed=1.2,town=none

It makes 700 pairs once. In 7 of 10 of them, pieces of the street's frames fly over other frames.
"""

from wrp_jax.config import (
    Config,
    MotionConfig,
    MotionOptimiser,
    MotionSampling,
    MotionTrainingConfig,
)


def get_config() -> Config:
    """What was found to train well in half an hour on a busy core."""
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="refined_dis"),
        motion_training=MotionTrainingConfig(
            sampling=MotionSampling(
                crop=(160, 224),
                keep=700,
                flying=0.7,
                scale=(-0.2, 0.4),
                jitter=0.2,
                erase=0.1,
            ),
            optimiser=MotionOptimiser(
                loss="sequence",
                steps=5000,
                batch_size=4,
                learning_rate=1e-3,
                ema_decay=0.998,
                gamma=0.6,
            ),
        ),
    )
