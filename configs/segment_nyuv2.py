"""g_ψ on NYU-Depth V2 (795 labelled frames, 40 classes, 640x480): MSA-HRNet-OCR.

wrp convert --set=nyuv2 --data=NYU --output=D
python train.py --config=configs/segment_nyuv2.py --stills=D:splits/train.txt --workdir=RUN

NYU holds nyu_depth_v2_labeled.mat, splits.mat and classMapping40.mat: see
wrp_jax/data/public_sets/nyuv2.py; it takes pip install -e ".[nyu]". With scenes of the raw video
beside them, D/splits/train_windows.txt lists the frames that the paper labels (at 2 Hz, up to 21
around each labelled one).

Hardware: 8 GPUs of 16 GB or more. Figure of the paper: 50.58 mIoU on the test split, without
propagated labels (Table 1).

Not run on the set: a made-up one was read, and the first step shape-checked on a small folder.
Rates and lengths are those of Cityscapes; the paper prints no others.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The protocol of Cityscapes at the size of NYUv2."""
    segmentation = published_protocol()
    segmentation.sampling.crop = (480, 640)
    segmentation.network.max_pixels = 640 * 480
    segmentation.sampling.centroid_tile = 480
    return Config(stages=("segmentation",), segmentation=segmentation)
