"""A student: the network of configs/folder.py, trained on the labels that propagate.py wrote.

python train.py     --config=configs/folder.py  --data=D --workdir=RUN
python propagate.py --config=configs/folder.py  --data=D --workdir=RUN --output=OUT
python train.py     --config=configs/student.py --data=D --config.pseudo=OUT --workdir=W \\
    --config.test=TEST

Give all three commands the same --keyframes or --windows. W/scores.json says how good the student
is on the labelled frames of TEST, which is another folder or D:LIST. Other students to compare:

--config.student.labels=none, without --config.pseudo: the same training without further labels
--config.student.labels=true, without --config.pseudo: with the true labels of the same frames
--config.student.method=semantic-only --config.student.confidence=0.9: labels of another method
--config.pseudo=OUT/tfds: labels from the data set instead of the folder
"""

from wrp_jax.config import Config


def get_config() -> Config:
    """The paper's choices: an epoch of 3x, 70 % propagated labels, ±2, ±4, ±6 and ±8 frames."""
    return Config(stages=("student",))
