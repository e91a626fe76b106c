"""Your own folder of video with a few labelled frames, on a machine without a GPU.

python train.py --config=configs/folder.py --data=D --workdir=RUN
python propagate.py --config=configs/folder.py --data=D --workdir=RUN --output=OUT

D holds <sequence>/frames/*, <sequence>/labels/* and classes.json. Every option has one value for
all data sets; the length of training follows from the number of labelled frames: 300 steps or
more. Segmentation starts from ImageNet's weights; --config.segmentation.name=light trains a network
from random ones (docs/MODELS.md).
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The defaults of ``wrp_jax/config``."""
    return Config()
