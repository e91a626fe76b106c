"""Motion learnt from a user's own video: no labels, no true flow.

python train.py --config=configs/motion_video.py --data=FOLDER --workdir=RUN
python propagate.py --config=configs/motion_video.py --data=D --method=motion-only --workdir=RUN \\
    --output=OUT

FOLDER holds frames, or folders of frames (<sequence>/*.jpg or <sequence>/frames/*.jpg). The small
network that corrects DIS flow starts from the weights of the package. It learns to fetch each frame
from its neighbour, occluded places included, as SDC-Net does (0.7 L1 + 0.2 gradient + 0.1
smoothness). After this it carries labels better than as shipped, and about as well as DIS alone
(docs/MODELS.md).

RAFT, on a GPU, with a census loss and edge-aware smoothness where forward and backward flow agree
(Jonschkowski et al., ECCV 2020): --config.motion.name=raft_large
--config.motion_training.optimiser.loss=unsupervised --config.motion_training.optimiser.steps=20000
--config.motion_training.sampling.crop="(256,320)".
"""

from wrp_jax.config import (
    Config,
    MotionConfig,
    MotionOptimiser,
    MotionSampling,
    MotionTrainingConfig,
)


def get_config() -> Config:
    """Self-supervised, a short training that a CPU can do."""
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="refined_dis"),
        motion_training=MotionTrainingConfig(
            from_shipped=True,
            sampling=MotionSampling(
                crop=(128, 160),
            ),
            optimiser=MotionOptimiser(
                loss="reconstruction",
                steps=300,
                learning_rate=3e-4,
                gamma=0.6,
            ),
        ),
    )
