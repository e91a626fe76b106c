"""Cuts the motion fixtures to what the tests compare: ``python tests/golden/cut_motion.py FROM``.

``x_every5`` is ``x[:, ::5]`` (channels); nothing else is changed. 5 and 9 share no factor, so a
cut lookup still tells a transposed window.
"""

import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent

RAFT = "frames_uint8 flow_low_all lookup_coords flow_up_12"
RAFT_CUT = "fmap1 fmap2 net0 context corr_first_iter lookup_corr"
RAFT_OWN = "pad_frames_uint8 pad_flow_sintel pad_flow_kitti init_flow_low init_flow_up_3 flow_up_1"
KEEP = {
    "raft_large": (f"{RAFT} {RAFT_OWN}", f"{RAFT_CUT} net_last up_mask_last"),
    "raft_small": (f"{RAFT} {RAFT_OWN}", f"{RAFT_CUT} net_last"),
    "raft_large_torchvision": (RAFT, "fmap1 lookup_corr"),
    "raft_small_torchvision": (RAFT, "fmap1 lookup_corr"),
    "sdcnet": (
        "frames_uint8 input_flow_0 input_flow_1 label network_output_flow warped_image "
        "warped_label full_flow full_label_prediction warp_flow warp_image_bilinear "
        "warp_label_nearest loss_color loss_color_gradient loss_flow_smoothness loss_tot",
        "",
    ),
    "flownet2": (
        "frames_uint8 flow corr_every9 flow2_c flow2_s1 flow2_s2 flow2_sd",
        "fusion_input",
    ),
    "sdcnet_propagate": ("*", ""),
}


def main(source: pathlib.Path) -> None:
    for name, (whole, cut) in KEEP.items():
        with np.load(source / f"{name}.npz") as fixture:
            names = fixture.files if whole == "*" else whole.split()
            arrays = {key: fixture[key] for key in names}
            arrays |= {f"{key}_every5": fixture[key][:, ::5] for key in cut.split()}
        np.savez_compressed(HERE / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
