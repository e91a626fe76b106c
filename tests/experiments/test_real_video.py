import pytest

from experiments import real_video

GIVEN = ["--data=D", "--windows=W", "--output=O"]


def test_options_go_to_both_commands(monkeypatch):
    said = []
    monkeypatch.setattr(real_video.subprocess, "run", lambda words, check: said.append(words[2:]))
    monkeypatch.setattr(real_video, "scores", lambda out: {})
    monkeypatch.setattr(real_video, "print_scores", lambda found: None)
    real_video.main([*GIVEN, "--stills=S:L", "--config=quick", "--config.seed=1"])
    train, propagate = said
    assert {"--config=quick", "--config.seed=1", "--workdir=O/run"} <= set(train) & set(propagate)
    assert "--stills=S:L" in train and "--stills=S:L" not in propagate


def test_the_record_names_the_seed_that_was_trained_with(monkeypatch, tmp_path):
    recorded = {}
    monkeypatch.setattr(real_video.subprocess, "run", lambda words, check: None)
    monkeypatch.setattr(real_video, "scores", lambda out: {})
    monkeypatch.setattr(real_video, "print_scores", lambda found: None)
    monkeypatch.setattr(
        real_video, "write_result", lambda name, found, **facts: recorded.update(facts)
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text('{"seed": 3}')
    real_video.main(["--data=D", "--windows=W", f"--output={tmp_path}", "--record=x"])
    assert recorded["seeds"] == [3]


def test_what_is_no_option_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(real_video.subprocess, "run", None)
    with pytest.raises(SystemExit):
        real_video.main([*GIVEN, "--seed=1"])
    assert "--seed=1 is unknown" in capsys.readouterr().err
