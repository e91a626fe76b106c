"""g_ψ on NYU-Depth V2 (795 labelled frames, 40 classes, 640x480): MSA-HRNet-OCR.

python train.py --config=configs/segment_nyuv2.py --stills=D:LIST --workdir=RUN

D: the data set in this project's folder layout (README) or as tfds:NAME/CONFIG:SPLIT; there is no
reader of its own layout yet. LIST: "<sequence> <frame>" per line.

Hardware: 8 GPUs of 16 GB or more. Figure of the paper: 50.58 mIoU on the test split, without
propagated labels (Table 1).

Not run: needs data through a tfds builder, not yet; built, and its first step shape-checked on a
small folder. Rates and lengths are those of Cityscapes; the paper prints no others.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The protocol of Cityscapes at the size of NYUv2."""
    segmentation = published_protocol()
    segmentation.crop = (480, 640)
    segmentation.max_pixels = 640 * 480
    segmentation.centroid_tile = 480
    return Config(stages=("segmentation",), segmentation=segmentation)
