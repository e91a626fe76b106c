"""g_ψ on Mapillary Vistas (18000 labelled frames, 65 classes): the pre-training of MSA-HRNet-OCR.

wrp convert --set=mapillary_v1.2 --data=VISTAS --output=D
python train.py --config=configs/segment_mapillary.py --stills=D:splits/training.txt --workdir=RUN

VISTAS holds training, validation and config_v1.2.json as they are unpacked: see
wrp_jax/data/public_sets/mapillary.py. The classes of version 2.0 of the labels (mapillary_v2.0) are
more than those of the published recipe.

Hardware of the published recipe: 8 GPUs of 32 GB, two crops each. The paper gives no figure for
this set; its networks for Cityscapes start from RUN/segmentation.npz (configs/
segment_cityscapes.py). Frames are taken at about 2177x1633 pixels.

Not run on the set: a made-up one was read, and the first step shape-checked on a small folder.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The published recipe: 200 epochs, crops of 1024x1024, blur, RMI."""
    segmentation = published_protocol()
    segmentation.optimiser.epochs = 200
    segmentation.sampling.crop = (1024, 1024)
    segmentation.network.max_pixels = 2177 * 1633
    segmentation.sampling.blur = 0.5
    segmentation.optimiser.learning_rate = 5e-3
    segmentation.optimiser.poly_power = 1.0
    segmentation.optimiser.single_scale_weight = 0.0
    return Config(stages=("segmentation",), segmentation=segmentation)
