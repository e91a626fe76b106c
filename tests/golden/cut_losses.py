"""Cuts the fixture of the losses: ``python tests/golden/cut_losses.py FROM``.

``x_grad_every3`` is ``x_grad[:, :, ::3, ::3]``; nothing else is changed.
"""

import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
NAMES = ("rmi", "rmi_bce_only", "cross_entropy", "img_weighted_ce", "label_relaxation")


def main(source: pathlib.Path) -> None:
    with np.load(source / "seg_losses.npz") as fixture:
        whole = ("logits", "labels", "relaxed_multihot", "relaxed_shape", *NAMES)
        arrays = {name: fixture[name] for name in whole}
        for name in NAMES:
            arrays[f"{name}_grad_every3"] = fixture[f"{name}_grad"][:, :, ::3, ::3]
    np.savez_compressed(HERE / "seg_losses.npz", **arrays)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
