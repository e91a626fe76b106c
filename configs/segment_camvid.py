"""g_ψ on CamVid's labelled stills (11 classes, 480x360): the light network, without a GPU.

python train.py --config=configs/segment_camvid.py --stills=D:splits/train_far.txt --workdir=RUN
wrp calibrate --config=configs/segment_camvid.py --data=D \\
    --frames=D/splits/seq15hz_a.txt --workdir=RUN --output=OUT

D: CamVid as a folder, as wrp convert --set=camvid writes it with splits/train.txt; train_far leaves
out the stills near the half at 15 Hz.

Run on 22 November 2026: 67 minutes on two CPU cores that other jobs used as well, 15 minutes of CPU
time. On the 50 frames at 15 Hz, which training does not see: 63.4 mIoU over 11 classes (sky 93.6,
building 83.6, pole 6.5, road 96.2, pavement 85.2, tree 89.3, sign 24.4, fence 34.3, car 87.4,
pedestrian 30.8, bicyclist 65.6); 63.0 without the mirror image. The temperature, 0.84, brings the
expected calibration error of these frames from 0.024 to 0.007. The paper does not use CamVid.
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """A tenth of the 359 frames is held out for the temperature, in runs of neighbours."""
    config = Config(stages=("segmentation",))
    config.segmentation.sampling.scale = (0.5, 2.0)
    config.segmentation.sampling.calibration_share = 0.1
    config.segmentation.optimiser.steps = 1000
    return config
