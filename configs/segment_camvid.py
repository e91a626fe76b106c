"""g_ψ on CamVid's labelled stills (11 classes, 480x360): the light network, without a GPU.

python train.py --config=configs/segment_camvid.py --stills=D:splits/train_far.txt --workdir=RUN
wrp calibrate --config=configs/segment_camvid.py --data=D \\
    --frames=D/splits/seq15hz_a.txt --workdir=RUN --output=OUT

D: CamVid as a folder, as wrp convert --set=camvid writes it with splits/train.txt; train_far leaves
out the stills near the half at 15 Hz.

docs/MODELS.md ("Segmentation") shows how it learns, and what it reaches per class on the 50 frames
at 15 Hz, which training does not see. The paper does not use CamVid.
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """A tenth of the 359 frames is held out for the temperature, in runs of neighbours."""
    config = Config(stages=("segmentation",))
    config.segmentation.name = "light"
    config.segmentation.sampling.scale = (0.5, 2.0)
    config.segmentation.sampling.calibration_share = 0.1
    config.segmentation.optimiser.steps = 1000
    return config
