"""RAFT on Sintel as published: after raft_things.

python train.py --config=configs/raft_sintel.py --workdir=RUN \\
    --data=tfds:sintel_flow/clean:train@DIR \\
    --config.motion.weights=RAFT_THINGS/motion.safetensors

Published is a mixture. --config.motion_training.sampling.mix takes an entry for each further set:
how often it occurs in one pass, the set, and what its augmentation has of its own:

    ('99 tfds:sintel_flow/clean:train@DIR', '100 tfds:sintel_flow/final:train@DIR',
    '200 tfds:kitti_flow:train@DIR sparse scale=-0.3,0.5 flips=0.5,0 jitter=0.3 hue=0.0955',
    '5 tfds:hd1k_flow:train@DIR sparse scale=-0.5,0.2 flips=0.5,0 jitter=0.3 hue=0.0955',
    '1 tfds:flying_things3d/cleanpass:train@DIR')

Published, with two GPUs: end-point error 1.61 (clean) and 2.86 (final) on Sintel's test part
with flow carried over from the frame before, 1.94 and 3.18 without (Teed and Deng, ECCV 2020,
table 1). Not yet run: it needs GPUs.
"""

from wrp_jax.config import Config, published_raft


def get_config() -> Config:
    """The stage's own options."""
    config = published_raft()
    stage = config.motion_training
    stage.sampling.crop = (368, 768)
    stage.sampling.scale = (-0.2, 0.6)
    return config
