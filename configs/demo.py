"""The whole pipeline on a video that it makes itself: nothing to download, no GPU.

python propagate.py --config=configs/demo.py

Renders street clips, labels the middle frame of each, trains g_ψ and Ω on those frames alone,
carries the labels to all others by every method, and writes labels, overlays, scores and
demo_output/report.html.
"""

from wrp_jax.config import Config, RefinerConfig, SegmentationConfig


def get_config() -> Config:
    """Small frames and short training; things grow fast as the camera drives, so crops vary."""
    return Config(
        data="synthetic:clips=6,frames=21,height=112,width=192,seed=0",
        key_every=21,
        segmentation=SegmentationConfig(steps=700, crop=(96, 128), scale=(0.5, 2.0), width=16),
        refiner=RefinerConfig(clips=16, steps=300, jitter=0.0),
    )
