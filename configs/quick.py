"""A first result on your own clip in about five minutes, on two CPU cores.

python train.py --config=configs/quick.py --data=D --workdir=RUN
python propagate.py --config=configs/quick.py --data=D --workdir=RUN --output=OUT

As configs/folder.py, with a smaller segmentation network on smaller frames, fewer simulated clips
and shorter training. Labels are worse; docs/RESULTS.md has both, measured on the same windows
("What the quick config costs"). Train with configs/folder.py, in another workdir, for labels that
you keep.
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The defaults, smaller and shorter."""
    config = Config()
    config.segmentation.name = "light"
    config.segmentation.network.width = 16
    config.segmentation.network.max_pixels = 240 * 320
    config.segmentation.sampling.crop = (160, 208)
    config.segmentation.optimiser.steps = 250
    config.refiner.clips = 16
    config.refiner.steps = 250
    return config
