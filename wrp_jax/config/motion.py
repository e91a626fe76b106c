"""f_θ: which motion, and how it is run."""

import dataclasses

from wrp_jax.config.option import Options, option


@dataclasses.dataclass
class MotionConfig(Options, path="config.motion"):
    """f_θ, which says where each pixel of a frame was in another one."""

    name: str = option(
        "dis",
        "Which motion. `precomputed` is read from files; the others but `dis` and `zero` are "
        "networks.",
        choices=(
            *("dis", "refined_dis", "zero", "raft_large", "raft_small"),
            *("sdcnet", "sdcnet_prediction", "flownet2", "precomputed"),
        ),
    )
    preset: str = option(
        "fine", "dis: how thorough it is.", choices=("ultrafast", "fast", "medium", "fine")
    )
    weights: str = option(
        "", "Networks: a published .pth, or .safetensors that `convert_weights` has written."
    )
    iterations: int = option(
        20, "raft: published are 20 for video and 24 to 32 for scores.", least=1
    )
    correlation: str = option(
        "auto",
        "raft: `on_the_fly` gives the same as `all_pairs` in less memory; `auto` goes by size.",
        choices=("auto", "all_pairs", "on_the_fly"),
    )
    dtype: str = option(
        "float32",
        "raft: on GPUs `tf32` is several times as fast; flows differ by much less than a pixel.",
        choices=("float32", "tf32", "bfloat16"),
    )
    padding: str = option(
        "sintel",
        "raft: how frames are enlarged to a multiple of 8; `sintel` above and below, `kitti` below "
        "alone.",
        choices=("sintel", "kitti"),
    )
    pairs_per_device: int = option(
        0, "Networks: pairs of frames at a time. 0: one on a CPU, four elsewhere."
    )
    flow: str = option(
        "dis",
        "sdcnet: whose flows it reads (published: `flownet2`; or `precomputed`). precomputed: "
        "whose flows serve simulated clips, which have no files.",
    )
    flow_weights: str = option("", "The weights of the motion that `flow` names.")
    folder: str = option(
        "", "precomputed: the folder of flow files; `wrp_jax/motion/precomputed.py` says how they "
        "are laid out."
    )  # fmt: skip
