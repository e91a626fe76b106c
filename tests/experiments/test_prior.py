import numpy as np
import pytest

from experiments import prior
from wrp_jax.quality.evidence import SIGNS


@pytest.mark.commands
def test_streets_are_written_labelled_and_fitted(tmp_path, monkeypatch):
    monkeypatch.setattr(prior, "LARGE", (48, 64))
    labelled = prior.label_streets(tmp_path, "motion-only", clips=1)
    frames = labelled.frames(["motion-only"])["motion-only"]
    assert len(frames) == 20 and {frame.distance for frame in frames} == set(range(1, 11))
    assert frames[0].evidence.shape[1] == len(SIGNS)
    void = np.asarray(labelled.plan.source.classes.void)
    assert min(prior.fit_weights(frames, void)) >= 0
    # Annotators differ: labels of the same street are not those that were drawn.
    source = labelled.plan.source
    name = source.frame_names(source.sequences[0])[0]
    drawn = prior.SyntheticSource(
        prior.SyntheticConfig(frames=21, height=48, width=64), 1, prior.SEED
    )
    same = source.label(source.sequences[0], name) == drawn.label(drawn.sequences[0], name)
    assert 0.5 < same.mean() < 1.0
