"""SDC-Net's video reconstruction, trained on a folder of frames as its release was.

python train.py --config=configs/sdcnet.py --data=FOLDER --workdir=RUN
python propagate.py --config=configs/sdcnet.py --data=D --method=motion-only --workdir=RUN \\
    --output=OUT

Published: Adam 1e-4, batches of 4 per GPU, crops of 448x448, a tenth of the rate after 1/2 and
9/10, 0.7 L1 + 0.2 gradient + 0.1 smoothness (Zhu et al., CVPR 2019; ``sdcnet/models/sdc_net2d.py``
of the release); 500 epochs of its data stand for ``steps`` here. DIS takes FlowNet2's place. Not
yet run at this size: it needs a GPU.
"""

from wrp_jax.config import (
    Config,
    MotionConfig,
    MotionOptimiser,
    MotionSampling,
    MotionTrainingConfig,
)


def get_config() -> Config:
    """The release's options; no clipping, no weight decay."""
    return Config(
        stages=("motion",),
        motion=MotionConfig(name="sdcnet"),
        motion_training=MotionTrainingConfig(
            sampling=MotionSampling(
                crop=(448, 448),
            ),
            optimiser=MotionOptimiser(
                loss="reconstruction",
                steps=100_000,
                batch_size=4,
                learning_rate=1e-4,
                schedule="steps",
                weight_decay=0.0,
                clip=0.0,
            ),
        ),
    )
