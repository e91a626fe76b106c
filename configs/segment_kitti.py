"""g_ψ on KITTI (200 labelled frames, 19 classes, 1242x375): MSA-HRNet-OCR.

wrp convert --set=kitti --data=KITTI --output=D
python train.py --config=configs/segment_kitti.py --stills=D:splits/train.txt --workdir=RUN

KITTI holds data_semantics.zip as it is unpacked, and data_scene_flow_multiview.zip where the frames
around the labelled ones are to be labelled, as the paper does (10 on both sides, the default of
propagate.py with --data=D): see wrp_jax/data/public_sets/kitti.py.

Hardware: 8 GPUs of 16 GB or more. The paper starts from a network trained on Cityscapes
(--config.segmentation.weights=CITYSCAPES_RUN/segmentation.npz); it chose options by
cross-validation and does not print them: those here are ours. Its figure without propagated labels
is not printed either (Table 4 gives the test split with them).

Not run on the set: a made-up one was read, and the first step shape-checked on a small folder.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The protocol of Cityscapes at the size of KITTI."""
    segmentation = published_protocol()
    segmentation.sampling.crop = (368, 1232)
    segmentation.network.max_pixels = 1242 * 376
    segmentation.sampling.centroid_tile = 376
    segmentation.optimiser.learning_rate = 5e-3
    return Config(stages=("segmentation",), segmentation=segmentation)
