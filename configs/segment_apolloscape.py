"""g_ψ on ApolloScape (2005 labelled frames, the middle ones of 21): MSA-HRNet-OCR.

wrp convert --set=apolloscape --data=APOLLO --output=D
python train.py --config=configs/segment_apolloscape.py --stills=D:splits/train_middle.txt \\
    --workdir=RUN

APOLLO holds road01_ins and further roads of the scene parsing set, and the image lists of the
authors, as they are unpacked: see wrp_jax/data/public_sets/apolloscape.py. The frames around the
middle ones are in D/splits/train_windows.txt, for propagate.py --windows; their own labels are what
it is scored against.

Hardware: as configs/segment_cityscapes.py. Figure of the paper: 72.63 mIoU on the validation split,
without propagated labels (Table 1). Frames of 3384x2710 are taken at about 2048x1640.

Not run on the set: a made-up one was read, and the first step shape-checked on a small folder.
Rates and lengths are those of Cityscapes; the paper prints no others. It cuts partitions of 21 but
counts 2005 labelled frames and 38095 around them, 19 each: how many the lists give is not known.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The protocol of Cityscapes on frames of about 3.4 million pixels."""
    segmentation = published_protocol()
    segmentation.network.max_pixels = 2048 * 1640
    return Config(stages=("segmentation",), segmentation=segmentation)
