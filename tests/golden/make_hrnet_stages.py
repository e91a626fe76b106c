"""Writes ``hrnet_stages.npz``: what each group of layers of HRNet-OCR gives, for the tests.

``PYTHONPATH=. python tests/golden/make_hrnet_stages.py`` (needs PyTorch). The network is
``benchmarks/hrnet_torch.py`` with the reproducible weights; that it is the published one is checked
against ``hrnet_ocr_mscale_odd.npz`` first. Every 16th channel is kept.
"""

import pathlib

import golden_files
import numpy as np
import torch

from benchmarks.hrnet_torch import HrnetOcr

HERE = pathlib.Path(__file__).parent
TOLERANCE = 1e-3


def main() -> None:
    network = HrnetOcr(19, attention=True)
    state = golden_files.state_dict("hrnet_ocr_mscale")
    network.load_state_dict({name: torch.from_numpy(x) for name, x in state.items()})
    network.eval()
    golden = np.load(HERE / "hrnet_ocr_mscale_odd.npz")
    kept: dict[str, np.ndarray] = {}

    def keep(name: str, x: torch.Tensor) -> None:
        kept[name] = x[:, ::16].numpy().copy()

    def watch(name: str, module: torch.nn.Module) -> None:
        def hook(module, inputs, output):
            for b, x in enumerate(output if isinstance(output, list) else [output]):
                keep(f"{name}_{b}" if isinstance(output, list) else name, x)

        module.register_forward_hook(hook)

    backbone, ocr = network.backbone, network.ocr
    backbone.layer1.register_forward_pre_hook(lambda module, inputs: keep("stem", inputs[0]))
    watch("layer1", backbone.layer1)
    for b, layer in enumerate(backbone.transition1):
        watch(f"transition1_{b}", layer)
    watch("transition2_2", backbone.transition2[2])
    watch("transition3_3", backbone.transition3[3])
    for stage in ("stage2", "stage3", "stage4"):
        watch(stage, getattr(backbone, stage))
    watch("pixels", ocr.conv3x3_ocr)
    block = ocr.ocr_distri_head.object_context_block
    for name in ("f_pixel", "f_object", "f_down", "f_up"):
        watch(name, getattr(block, name))
    with torch.no_grad():
        features, logits, aux = ocr(backbone(torch.from_numpy(golden["input"])))
        attention = network.scale_attn(features)
    checks = {
        "cls_s4_10x": logits,
        "aux_s4_10x": aux,
        "attn_s4_10x": attention,
        "ocr_feats_10x_every8": features[:, ::8],
    }
    for name, got in checks.items():
        difference = np.abs(got.numpy() - golden[name]).max()
        print(f"{name}: {difference:.1e} from the published network")
        assert difference < TOLERANCE
    np.savez_compressed(HERE / "hrnet_stages.npz", **kept)


if __name__ == "__main__":
    main()
