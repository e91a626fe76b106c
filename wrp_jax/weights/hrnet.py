"""Names in the published files of HRNet, HRNet-OCR and its multi-scale version.

Files: ``cityscapes_ocrnet.HRNet_Mscale_outstanding-turtle.pth``,
``mapillary_ocrnet.HRNet_Mscale_fast-rattlesnake.pth``, ``ocrnet.HRNet_industrious-chicken.pth``
(NVIDIA/semantic-segmentation), ``hrnetv2_w48_imagenet_pretrained.pth``
(HRNet/HRNet-Image-Classification), and the same networks with other classes or widths.
"""

from __future__ import annotations

from collections.abc import Iterable

from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.hrnet import Backbone
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr

NAMES: tuple[tuple[str, str], ...] = (
    # Digits are set off by dots: stage4_0.branches_0_1 is stage4.0.branches.0.1.
    (r"_(?=\d)", "."),
    # A convolution and its norm are neighbours: conv1 and bn1 in blocks, the stem and the
    # attention head; 0 and 1 elsewhere; 0 and 1.0 in the OCR head.
    (r"\.conv(\d)\.conv\.", r".conv\1."),
    (r"\.conv(\d)\.norm\.", r".bn\1."),
    (r"\.aux_head\.0\.conv\.", ".aux_head.0."),
    (r"\.aux_head\.0\.norm\.", ".aux_head.1.0."),
    (r"_head\.fuse\.", "_head.conv_bn_dropout."),
    (r"_head\.query(2?)\.", r"_head.object_context_block.f_pixel\1."),
    (r"_head\.key(2?)\.", r"_head.object_context_block.f_object\1."),
    (r"_head\.value\.", "_head.object_context_block.f_down."),
    (r"_head\.context\.", "_head.object_context_block.f_up."),
    (r"\.(f_pixel|f_object)2\.conv\.", r".\1.2."),
    (r"\.(f_pixel|f_object)2\.norm\.", r".\1.3.0."),
    (r"^(ocr\..*)\.norm\.", r"\1.1.0."),
    (r"\.norm\.", ".1."),
    (r"\.conv\.", ".0."),
)
"""From our names to the release's, applied in order."""

BACKBONE_NAMES = (*NAMES, (r"^backbone\.", ""))
"""The same for the ImageNet file, which holds no head of ours."""

IMAGENET_HEAD = (r"^incre_modules\.", r"^downsamp_modules\.", r"^final_layer\.", r"^classifier\.")
"""What the ImageNet file holds beside the backbone."""

CLASSIFIER = ("cls_head", "aux_head_2")
"""Our names of the layers of ``ocr`` whose shapes depend on the number of classes."""


def hrnet(network: str, width: int = 48, num_classes: int = 19) -> Network:
    """The network whose variables a file of that name holds."""
    if network == "hrnetv2_imagenet":
        module = Backbone(width)
    else:
        module = HrnetOcr(num_classes, width, attention=network == "hrnet_ocr_mscale")
    return Network(module.init, module.apply)


def network_held(names: Iterable[str]) -> str | None:
    """Which of these networks a file holds, by the release's names; None for none of them."""
    names = set(names)
    if "scale_attn.conv0.weight" in names:
        return "hrnet_ocr_mscale"
    if "ocr.conv3x3_ocr.0.weight" in names:
        return "hrnet_ocr"
    return "hrnetv2_imagenet" if "transition1.0.0.weight" in names else None
