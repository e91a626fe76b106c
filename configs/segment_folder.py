"""g_ψ alone, on your own labelled pictures: the default network, on a machine without a GPU.

python train.py --config=configs/segment_folder.py --stills=D:LIST --workdir=RUN
wrp calibrate --config=configs/segment_folder.py --data=D \\
    --frames=OTHERS --workdir=RUN --output=OUT

D holds <sequence>/frames/*, <sequence>/labels/* and classes.json; LIST and OTHERS name frames,
"<sequence> <frame>" per line. The second command scores frames that training has not seen. The
length of training follows from the number of frames.

Run: this is the segmentation stage of configs/folder.py, whose figures are in docs/RESULTS.md. The
paper has no figure for it: its g_ψ is another network.
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The defaults of ``wrp_jax/config``, segmentation alone."""
    return Config(stages=("segmentation",))
