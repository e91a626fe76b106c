"""g_ψ on Cityscapes (2975 labelled frames, 19 classes, 2048x1024): MSA-HRNet-OCR.

python train.py --config=configs/segment_cityscapes.py --stills=D:LIST --workdir=RUN

D: the data set in this project's folder layout (README) or as tfds:NAME/CONFIG:SPLIT; there is no
reader of its own layout yet. LIST: "<sequence> <frame>" per line.

Hardware of the published recipe: 16 GPUs of 32 GB, one crop each (on 8: batch_size=8,
learning_rate=5e-3). Figure of the paper: 83.35 mIoU on the validation split, without propagated
labels (Table 1), from a network that was trained on Mapillary Vistas first (configs/
segment_mapillary.py). Coarse labels are not in this recipe: needs data through a tfds builder,
not yet; the released recipe mixes them in until epoch 150.

Not run: built, and its first step shape-checked on a small folder.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The published recipe: 175 epochs, crops of 1024x2048, RMI, single scales at 0.05."""
    segmentation = published_protocol()
    return Config(stages=("segmentation",), segmentation=segmentation)
