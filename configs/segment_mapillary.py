"""g_ψ on Mapillary Vistas (18000 labelled frames, 65 classes): the pre-training of MSA-HRNet-OCR.

python train.py --config=configs/segment_mapillary.py --stills=D:LIST --workdir=RUN

D: the data set in this project's folder layout (README) or as tfds:NAME/CONFIG:SPLIT; there is no
reader of its own layout yet. LIST: "<sequence> <frame>" per line.

Hardware of the published recipe: 8 GPUs of 32 GB, two crops each. The paper gives no figure for
this set; its networks for Cityscapes start from RUN/segmentation.npz (configs/
segment_cityscapes.py). Frames are taken at about 2177x1633 pixels.

Not run: needs data through a tfds builder, not yet; built, and its first step shape-checked on a
small folder.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The published recipe: 200 epochs, crops of 1024x1024, blur, RMI."""
    segmentation = published_protocol()
    segmentation.epochs = 200
    segmentation.crop = (1024, 1024)
    segmentation.max_pixels = 2177 * 1633
    segmentation.blur = 0.5
    segmentation.learning_rate = 5e-3
    segmentation.poly_power = 1.0
    segmentation.single_scale_weight = 0.0
    return Config(stages=("segmentation",), segmentation=segmentation)
