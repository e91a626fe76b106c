"""g_ψ on ApolloScape (2005 labelled frames, the middle ones of 21): MSA-HRNet-OCR.

python train.py --config=configs/segment_apolloscape.py --stills=D:LIST --workdir=RUN

D: the data set in this project's folder layout (README) or as tfds:NAME/CONFIG:SPLIT; there is no
reader of its own layout yet. LIST: "<sequence> <frame>" per line.

Hardware: as configs/segment_cityscapes.py. Figure of the paper: 72.63 mIoU on the validation split,
without propagated labels (Table 1). Frames of 3384x2710 are taken at about 2048x1640.

Not run: needs data through a tfds builder, not yet; built, and its first step shape-checked on a
small folder. Rates and lengths are those of Cityscapes; the paper prints no others.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The protocol of Cityscapes on frames of about 3.4 million pixels."""
    segmentation = published_protocol()
    segmentation.max_pixels = 2048 * 1640
    return Config(stages=("segmentation",), segmentation=segmentation)
