import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wrp_jax import interrupts
from wrp_jax.types import Interrupted

ROOT = Path(__file__).parents[1]
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_at_the_next_check_and_not_before(number):
    before = signal.getsignal(number)
    interrupts.check()
    with pytest.raises(Interrupted, match=f"stopped by {number.name}"), interrupts.listening():
        with interrupts.listening():  # the one outside goes on listening
            assert interrupts.requested() is None
        os.kill(os.getpid(), number)
        try:
            for _ in range(1000):
                time.sleep(0.0001)
            assert interrupts.requested() == f"stopped by {number.name}"
            interrupts.check()
        except Exception:  # what deals with faults of an input
            pytest.fail("the signal was taken for one")
    assert signal.getsignal(number) is before
    assert interrupts.requested() is None
    interrupts.check()


def test_other_threads_are_not_interrupted():
    raised = []

    def work():
        with interrupts.listening():
            try:
                interrupts.check()
            except BaseException as error:
                raised.append(error)

    with interrupts.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert not raised and interrupts.requested()


def test_two_signals_at_once_are_one():
    """``timeout`` signals a program twice."""
    with interrupts.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        assert interrupts.requested()


DEAF = """
import signal, sys, time
from wrp_jax import interrupts

with interrupts.listening():
    print("listening", flush=True)
    if sys.argv[1] == "python":
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                pass
    import ctypes
    left = 600
    while left:  # the loop of a library: no signal brings it back to the interpreter
        left = ctypes.CDLL(None).sleep(left)
"""


@pytest.mark.parametrize("where", ["python", "library"])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_the_program_wherever_it_is(where, number):
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF, where], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "listening\n"
    process.send_signal(number)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 4
    assert error == "stopped at once by a second signal; run the same command to go on.\n"
