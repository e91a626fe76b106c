"""g_ψ on Cityscapes (2975 finely, 19998 coarsely labelled frames, 19 classes): MSA-HRNet-OCR.

wrp convert --set=cityscapes --data=CITYSCAPES --output=D
python train.py --config=configs/segment_mapillary.py --workdir=MAPILLARY \\
    --stills=M:splits/training.txt
python train.py --config=configs/segment_cityscapes.py --workdir=RUN \\
    --stills=D:splits/fine_train.txt --stills=D:splits/coarse_train_extra.txt \\
    --config.segmentation.weights=MAPILLARY/segmentation.npz \\
    --config.segmentation.drop_classifier=true

CITYSCAPES holds leftImg8bit, gtFine and gtCoarse, unpacked. Without the second list training uses
fine labels alone. In place of MAPILLARY's, the weights may be the ImageNet backbone or any
published file (docs/MODELS.md).

Of the coarsely labelled frames only crops around the centroids of 13 classes are drawn, as if
there were more of these classes, and none after epoch 150. That is the released recipe, but for the
labels: there a network wrote them (its confidence above 0.5), here they are the coarse labels of
the set. Zhu et al. 2019 use those, for ("truck", "bus", "train", "wall", "rider", "motorcycle",
"fence").

Hardware of the published recipe: 16 GPUs of 32 GB, one crop each (on 8: batch_size=8,
learning_rate=5e-3). On one device of 80 GB: --config.segmentation.optimiser.accumulate=16
--config.segmentation.network.remat=true, one crop after the other; its batch norm sees one crop at
a time, not sixteen. Figure of the paper: 83.35 mIoU on the validation split, without propagated
labels (Table 1).

Not run: built, its crops drawn from a made-up set, and its first step shape-checked.
"""

from wrp_jax.config import Config, published_protocol


def get_config() -> Config:
    """The published recipe: 175 epochs, crops of 1024x2048, RMI, single scales at 0.05."""
    segmentation = published_protocol()
    segmentation.sampling.coarse = "coarse_*"
    segmentation.sampling.coarse_classes = (
        "wall", "fence", "traffic light", "traffic sign", "terrain", "person", "rider", "car",
        "truck", "bus", "train", "motorcycle", "bicycle",
    )  # fmt: skip
    segmentation.sampling.coarse_epochs = 150
    return Config(stages=("segmentation",), segmentation=segmentation)
