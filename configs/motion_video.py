"""Motion learnt from a user's own video: no labels, no true flow.

python train.py --config=configs/motion_video.py --data=FOLDER --workdir=RUN
python propagate.py --config=configs/motion_video.py --data=D --method=motion-only --workdir=RUN \\
    --output=OUT

FOLDER holds frames, or folders of frames (<sequence>/*.jpg or <sequence>/frames/*.jpg). A small
network that mends DIS flow; for RAFT, on a GPU: --config.motion.name=raft_large
--config.motion_training.batch_size=8. Census loss and edge-aware smoothness where forward and
backward flow agree (Jonschkowski et al., ECCV 2020).
"""

from wrp_jax.config import Config, MotionConfig, MotionTrainingConfig


def get_config() -> Config:
    """Unsupervised, a short training that a CPU can do."""
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="refined_dis"),
        motion_training=MotionTrainingConfig(
            loss="unsupervised", steps=1000, learning_rate=2e-4, crop=(192, 256), gamma=0.6
        ),
    )
