import threading
import time

import pytest

from wrp_jax.labelling.background import Background


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
