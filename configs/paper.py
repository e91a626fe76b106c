"""The paper's method, as printed, on your own folder: hard labels, its mask, Ω by cycles.

python train.py --config=configs/paper.py --data=D --workdir=RUN
python propagate.py --config=configs/paper.py --data=D --workdir=RUN --output=OUT

Motion and segmentation are those of configs/folder.py, which a CPU can train. Labels are worse than
those of configs/folder.py (docs/REFINER.md). --config.refiner.unrolled=true trains Ω inside every
step of the cycle; --config.refiner.learn_tau=true learns τ along with it.
"""

from wrp_jax.config import Config, PropagationConfig, RefinerConfig


def get_config() -> Config:
    """Eq. 3-12: one-hot labels, photometric mask, pix2pix Ω in the recursion, cycle loss."""
    return Config(
        propagation=PropagationConfig(carrier="hard", mask="paper"),
        refiner=RefinerConfig(name="pix2pix", source="cycle", recursive=True),
    )
