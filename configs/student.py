"""A student: the network of configs/folder.py, trained on the labels that propagate.py wrote.

python train.py     --config=configs/folder.py  --data=D --workdir=RUN
python propagate.py --config=configs/folder.py  --data=D --workdir=RUN --output=OUT
python train.py     --config=configs/student.py --data=D --config.pseudo=OUT --workdir=W \\
    --config.test=TEST

Give all of them the same --keyframes or --windows. W/scores.json says how good the student is on
the labelled frames of TEST, which is another folder or D:LIST. Beside it:

--config.student.labels=none, without --config.pseudo: the same training without further labels
--config.student.labels=true, likewise: with the true labels of the same frames
--config.student.method=semantic-only --config.student.confidence=0.9: those of another method
--config.pseudo=OUT/tfds: the data set of the main method in the place of the folder
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The paper's choices: an epoch of 3x, 70 % propagated labels, ±2, ±4, ±6 and ±8 frames."""
    return Config(stages=("student",))
