import io
import json
import sys

import pytest

from wrp_jax.progress import Progress
from wrp_jax.training import metrics_log as logging
from wrp_jax.training.metrics_log import MetricsLog


class Terminal(io.StringIO):
    def isatty(self):
        return True


def write(workdir, stage, steps, start=0):
    log = MetricsLog(workdir, stage, start)
    for step in steps:
        log.write(step, {"loss": 1.0 / step}, 0.5)
    log.close()


def steps(workdir, stage):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line["step"] for line in lines if line["stage"] == stage]


def test_lines_are_json(tmp_path):
    write(tmp_path, "segmentation", [4])
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert line == {"stage": "segmentation", "step": 4, "seconds": 0.5, "loss": 0.25}


def test_a_resumed_run_takes_back_what_it_does_again(tmp_path):
    write(tmp_path, "segmentation", [10, 20, 30])
    write(tmp_path, "refiner", [5, 10, 15, 20])
    write(tmp_path, "refiner", [15, 20], start=12)
    assert steps(tmp_path, "refiner") == [5, 10, 15, 20]
    assert steps(tmp_path, "segmentation") == [10, 20, 30]


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    write(tmp_path, "refiner", [5, 10])
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"stage": "refiner", "step": 11, "lo')
    write(tmp_path, "refiner", [15], start=12)
    assert steps(tmp_path, "refiner") == [5, 10, 15]


def test_tensorboard_events_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboardX")
    write(tmp_path, "refiner", [5])
    files = list((tmp_path / "tensorboard" / "refiner").iterdir())
    assert len(files) == 1
    assert b"loss" in files[0].read_bytes()


def test_no_tensorboard_where_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    write(tmp_path, "refiner", [5])
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_other_processes_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.jax, "process_index", lambda: 1)
    write(tmp_path, "refiner", [5])
    stream = Terminal()
    progress = Progress("refiner", 10, 0, stream)
    progress.update(10, {"loss": 1.0})
    progress.close()
    assert list(tmp_path.iterdir()) == []
    assert stream.getvalue() == ""
