"""RAFT on Sintel as published: after raft_things.

python train.py --config=configs/raft_sintel.py --workdir=RUN \\
    --data=tfds:sintel_flow/clean:train@DIR \\
    --config.motion.weights=RAFT_THINGS/motion.safetensors

Published is a mixture: --config.motion_training.mix takes "COUNT SPEC" for each further set:
('99 tfds:sintel_flow/clean:train@DIR', '100 tfds:sintel_flow/final:train@DIR',
'200 tfds:kitti_flow:train@DIR', '5 tfds:hd1k_flow:train@DIR',
'1 tfds:flying_things3d/cleanpass:train@DIR'). Pairs of KITTI and HD1K, whose flow is sparse, are
enlarged by this config's range and flipped as published, but for their own ranges.

Published, with two GPUs: end-point error 1.61 (clean) and 2.86 (final) on Sintel's test part
with flow carried over from the frame before, 1.94 and 3.18 without (Teed and Deng, ECCV 2020,
table 1). Not yet run: it needs GPUs.
"""

from wrp_jax.config import Config, published_raft


def get_config() -> Config:
    """The stage's own options."""
    return published_raft(crop=(368, 768), scale=(-0.2, 0.6))
