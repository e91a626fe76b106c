"""The whole pipeline on street clips that it renders: nothing to download, no GPU.

python propagate.py --config=configs/demo.py

Renders street clips, takes the label of the middle frame of each, trains segmentation and refiner
on those frames alone, carries the labels to all other frames by every method, and writes labels,
overlays, scores and demo_output/report.html.
"""

from wrp_jax.config import Config, RefinerConfig


def get_config() -> Config:
    """Small frames and short training; things grow fast as the camera drives, so crops vary."""
    config = Config(
        data="synthetic:clips=6,frames=21,height=112,width=192,seed=0",
        key_every=21,
        refiner=RefinerConfig(clips=16, steps=300, jitter=0.0),
    )
    config.segmentation.name = "light"
    config.segmentation.network.width = 16
    config.segmentation.sampling.crop = (96, 128)
    config.segmentation.sampling.scale = (0.5, 2.0)
    config.segmentation.optimiser.steps = 700
    return config
