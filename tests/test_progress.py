import io
import threading
import types

import pytest

from wrp_jax import progress
from wrp_jax.progress import Progress, duration, on_all_cores, waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    stand_in = types.SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr("wrp_jax.progress.time", stand_in)
    return clock


def test_a_terminal_shows_a_bar():
    stream = Terminal()
    progress = Progress("refiner", 10, 4, stream)
    progress.update(7, {"loss": 0.5})
    progress.update(10, {"loss": 0.125})
    progress.close()
    assert "10/10" in stream.getvalue()
    assert "loss 0.125" in stream.getvalue()


def test_a_bar_of_one_step_is_full():
    stream = Terminal()
    progress = Progress("refiner", 1, 0, stream)
    progress.update(1, {"loss": 0.125})
    progress.close()
    assert "1/1" in stream.getvalue()
    assert "loss 0.125" in stream.getvalue()


def test_elsewhere_a_line_now_and_then_with_the_time_left(clock):
    stream = io.StringIO()
    progress = Progress("refiner", 100, 20, stream)
    for step in range(21, 61):
        clock.now += 1.0
        progress.update(step, {"loss": 0.5})
    progress.close()
    assert stream.getvalue().splitlines() == [
        "refiner: 80 to do; programs are compiled first",
        "refiner 25/100, loss 0.5, 01:15 left",
        "refiner 46/100, loss 0.5, 00:54 left",
        "refiner 60/100, loss 0.5, 00:40 left",
    ]


def test_the_first_step_compiles_and_says_nothing_of_the_others(clock):
    stream = io.StringIO()
    progress = Progress("refiner", 31, 0, stream)
    clock.now = 100.0
    progress.update(1)
    for step in range(2, 32):
        clock.now += 2.0
        progress.update(step)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "refiner: 31 to do; programs are compiled first",
        "refiner 1/31",
        "refiner 3/31, 00:56 left",
        "refiner 14/31, 00:34 left",
        "refiner 25/31, 00:12 left",
        "refiner 31/31, 02:40",
    ]


def test_the_last_line_stands_once(clock):
    stream = io.StringIO()
    progress = Progress("labelling", 2, 0, stream)
    for step in (1, 2):
        clock.now += 25.0
        progress.update(step)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "labelling: 2 to do; programs are compiled first",
        "labelling 1/2",
        "labelling 2/2, 00:50",
    ]


def test_the_time_is_told_before_the_first_step_unless_it_is_short(clock):
    for stream in (io.StringIO(), Terminal()):
        Progress("labelling", 1, 0, stream, expected=150.0)
        assert stream.getvalue().startswith("labelling takes about 2 min where nothing else runs\n")
    stream = io.StringIO()
    Progress("labelling", 1, 0, stream, expected=9.0)
    assert not stream.getvalue()


def test_a_time_in_its_unit():
    times = {0.234: "0.23 s", 12.3: "12 s", 150.0: "2 min", 9000.0: "2.5 h"}
    assert {seconds: duration(seconds) for seconds in times} == times


def test_work_is_spread_over_the_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(2), raising=False)
    assert on_all_cores(16.0) == 10.0
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(64), raising=False)
    assert on_all_cores(64.0) == 10.0
    assert on_all_cores(16.0, at_most=2) == 10.0


@pytest.fixture
def look(clock, monkeypatch):
    """``look(seconds)``: so many seconds later, one look at what is waited for; no thread looks."""
    waits = progress._Waits()
    monkeypatch.setattr(progress, "_waits", waits)
    monkeypatch.setattr(progress, "_LOOK_EVERY", 3600.0)

    def look(seconds):
        clock.now += seconds
        waits.look()

    return look


def test_long_silence_says_what_is_waited_for_and_since_when(look, capsys):
    with waiting("working on the stage motion"):
        look(20.0)
        with waiting("compiling the training step of motion"):
            look(9.0)
            assert capsys.readouterr().err == ""
            look(1.0)
            look(29.0)
            look(61.0)
        look(29.0)
        look(2.0)
    look(100.0)
    assert capsys.readouterr().err.splitlines() == [
        "compiling the training step of motion, 10 s so far",
        "compiling the training step of motion, 1 min 40 s so far",
        "working on the stage motion, 2 min 31 s so far",
    ]


def test_steps_break_the_silence(look, clock):
    stream = io.StringIO()
    with Progress("refiner", 9, 0, stream, first="compiling the training step") as bar:
        look(31.0)
        bar.update(1)
        look(29.0)
        bar.update(2)
        look(29.0)
        look(2.0)
    look(100.0)
    assert stream.getvalue().splitlines() == [
        "refiner: 9 to do; programs are compiled first",
        "compiling the training step, 31 s so far",
        "refiner 1/9",
        "refiner 2/9, 03:23 left",
        "refiner: 2 of 9 done, 31 s so far",
    ]


def test_of_a_trial_nothing_inside_is_shown(look, capsys):
    stream = io.StringIO()
    trial = waiting("measuring what 9 frames take", alone=True)
    with trial, Progress("labelling", 9, 0, stream) as bar, waiting("choosing"):
        bar.update(1)
        look(31.0)
    assert stream.getvalue() == ""
    assert capsys.readouterr().err == "measuring what 9 frames take, 31 s so far\n"


def test_a_bar_shows_what_is_waited_for(look):
    stream = Terminal()
    with Progress("refiner", 9, 0, stream) as bar:
        with waiting("making a checkpoint"):
            look(31.0)
        assert stream.getvalue().endswith("making a checkpoint, 31 s so far]")
        bar.update(1, {"loss": 0.5})
        assert "loss 0.5" in stream.getvalue()
    assert "\n" not in stream.getvalue().rstrip("\n")


def test_nobody_looks_any_more_where_the_waiting_ended(monkeypatch):
    waits = progress._Waits()
    monkeypatch.setattr(progress, "_waits", waits)
    with pytest.raises(KeyboardInterrupt), waiting("a step"), Progress("refiner", 9, 0):
        (watcher,) = (thread for thread in threading.enumerate() if thread is waits._thread)
        raise KeyboardInterrupt
    assert not watcher.is_alive() and not waits._open


def test_other_processes_than_the_first_say_nothing(look, capsys, monkeypatch):
    monkeypatch.setattr("jax.process_index", lambda: 1)
    with waiting("compiling"), Progress("refiner", 9, 0):
        look(60.0)
    assert capsys.readouterr().err == ""
