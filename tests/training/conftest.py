import pytest


@pytest.fixture
def interrupt(monkeypatch):
    """``interrupt(stage, train)``: stops a training of a stage after three steps.

    The stage saves after two, so that the third is lost; what is left is what ``train()`` starts
    from when it is called again.
    """

    def run(stage, train):
        fit = stage.fit

        def part(**arguments):
            fit(**{**arguments, "steps": 3, "checkpoint_every": 2})
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(stage, "fit", part)
            with pytest.raises(KeyboardInterrupt):
                train()

    return run
