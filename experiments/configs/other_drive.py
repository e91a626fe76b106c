"""What students of CamVid start from: the 1 Hz stills of another drive.

grep 0001TP D/of/camvid/splits/train.txt > W/first_drive.txt
python train.py --config=experiments/configs/other_drive.py --workdir=W/other_drive \\
    --data=D/of/camvid --keyframes=W/first_drive.txt

Networks of the paper start from Mapillary Vistas, where all is labelled and looks different. Here
that is drive 0001TP: 62 stills at dusk, while the video and the test were taken by day.
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The segmentation of camvid.py, on stills alone."""
    config = Config(stages=("segmentation",))
    config.segmentation.name = "light"
    config.segmentation.network.width = 12
    config.segmentation.network.max_pixels = 180 * 240
    config.segmentation.sampling.crop = (112, 144)
    config.segmentation.sampling.scale = (0.7, 1.5)
    config.segmentation.optimiser.batch_size = 4
    config.segmentation.optimiser.steps = 600
    return config
