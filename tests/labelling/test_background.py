import threading
import time

import pytest

from wrp_jax.labelling.background import Background, ReadAhead


def test_no_more_calls_wait_or_run_than_there_are_threads():
    release, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def call():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        release.wait(10)
        with lock:
            running[0] -= 1

    started = []
    with Background(threads=2) as background:
        waiting = threading.Thread(
            target=lambda: [(background.run(call), started.append(None)) for _ in range(5)]
        )
        waiting.start()
        time.sleep(0.2)
        assert len(started) == 2  # the third waits for one of them
        release.set()
        waiting.join()
    assert most[0] == 2
    assert running[0] == 0  # leaving the block waits for all


def test_a_fault_comes_to_the_caller_and_ends_what_follows():
    done = []

    def fail():
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"), Background(threads=1) as background:
        background.run(fail)
        background.run(done.append, 1)
    assert not done
    with pytest.raises(OSError, match="disk is full"), Background(threads=2) as background:
        background.run(fail)  # nothing follows: told at the end


def test_calls_that_run_are_finished_where_the_block_fails():
    done = []

    def slow():
        time.sleep(0.1)
        done.append(1)

    with pytest.raises(KeyError), Background(threads=1) as background:
        background.run(slow)
        raise KeyError
    assert done == [1]


def test_what_is_read_ahead_comes_in_order_and_once():
    asked = []

    def square(position):
        asked.append(position)
        return position**2

    with ReadAhead(square, count=7, ahead=3) as read:
        assert asked == []  # nothing before the first call
        assert [read(i) for i in range(7)] == [i**2 for i in range(7)]
        assert asked == list(range(7))
        assert read(2) == 4  # out of order: read now


def test_no_more_is_read_ahead_than_may_wait():
    asked, caught_up = [], threading.Event()

    def note(position):
        asked.append(position)
        if len(asked) == 3:
            caught_up.set()
        return position

    with ReadAhead(note, count=100, ahead=2) as read:
        assert read(0) == 0
        assert caught_up.wait(10)  # without another call
        time.sleep(0.05)
        assert asked == [0, 1, 2]


def test_a_fault_comes_where_its_own_result_is_asked_for():
    def fail_at_1(position):
        if position == 1:
            raise OSError("frame 1 is damaged")
        return position

    with ReadAhead(fail_at_1, count=4, ahead=3) as read:
        assert read(0) == 0
        with pytest.raises(OSError, match="frame 1"):
            read(1)
        assert [read(2), read(3)] == [2, 3]


def test_reading_ends_with_its_block():
    asked, begun, go = [], threading.Event(), threading.Event()

    def wait(position):
        asked.append(position)
        if position:
            begun.set()
            go.wait(10)
        return position

    with pytest.raises(KeyError), ReadAhead(wait, count=9, ahead=4) as read:
        read(0)
        assert begun.wait(10)
        go.set()
        raise KeyError
    assert len(asked) < 9 and not any(t.name.startswith("reader") for t in threading.enumerate())
