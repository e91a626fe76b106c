"""CamVid: students of two labelled frames of a drive, scored on the stills of another drive.

grep 0001TP D/of/camvid/splits/train.txt > W/first_drive.txt
grep 0006R0 D/of/camvid/splits/train.txt | awk 'NR % 3 == 1' > W/test_drive.txt
python train.py --config=experiments/configs/other_drive.py --workdir=W/other_drive \\
    --data=D/of/camvid --keyframes=W/first_drive.txt
python -m experiments.paper table1 --config=experiments/configs/camvid.py --data=D/of/camvid \\
    --workdir=W --windows=D/of/camvid/splits/disjoint_a.txt --suffix=camvid --longer=2000 \\
    --config.test=D/of/camvid:W/test_drive.txt \\
    --config.segmentation.weights=W/other_drive/segmentation.npz

Networks start from another drive (other_drive.py), as the paper's start from Mapillary Vistas: in
so short a training a network that begins at random weights has no use for more frames of a drive.
That drive was taken at dusk, the labelled frames and the test by day, so a student can learn from
the labelled frames what the test needs. Networks, frames and trainings are small enough for a table
of three seeds in half an hour of CPU time; scores are far below those of configs/folder.py.
"""

from wrp_jax.config import Config, RefinerConfig


def get_config() -> Config:
    """Network and protocol at half the size of the frames, and a refiner of few clips."""
    config = Config(refiner=RefinerConfig(clips=8, crops=8, steps=150))
    config.propagation.carrier = "composed"  # as labels of the tables moved
    config.segmentation.name = "light"
    config.segmentation.network.width = 12
    config.segmentation.network.max_pixels = 180 * 240
    config.segmentation.sampling.crop = (112, 144)
    config.segmentation.sampling.scale = (0.7, 1.5)
    config.segmentation.optimiser.batch_size = 4
    config.segmentation.optimiser.steps = 150
    return config
