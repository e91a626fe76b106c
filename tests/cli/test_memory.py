"""Threads share two arenas of the allocator."""

import os
import platform
import subprocess
import sys

import pytest

CHILD = """
import ctypes, threading
from wrp_jax.cli.memory import keep_memory_together

keep_memory_together()
barrier = threading.Barrier(6)

def take():
    held = [bytearray(5000) for _ in range(9)]
    barrier.wait()
    return held

threads = [threading.Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library = ctypes.CDLL(None)
library.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, out)
library.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
@pytest.mark.parametrize(("asked", "most"), [(None, 2), ("4", 4)])
def test_threads_share_the_arenas(asked, most):
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"}
    if asked:
        environment["MALLOC_ARENA_MAX"] = asked
    found = subprocess.run(
        [sys.executable, "-c", CHILD], check=True, capture_output=True, text=True, env=environment
    )
    assert 1 < found.stdout.count("<heap nr=") <= most
