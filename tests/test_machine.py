"""Exit code 5: which errors are the machine's, and what is said."""

import errno

import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.machine import cannot_write, machine_error
from wrp_jax.types import MachineError, UserError


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        ValueError("RESOURCE_EXHAUSTED: Failed to write 182 bytes: No space left on device [..]"),
        RuntimeError("Error writing: [OS error 122: EDQUOT Disk quota exceeded]"),
    ],
)
def test_a_full_disk_is_known_by_its_number_and_by_its_words(error):
    fault = machine_error(error, "x cannot be written")
    assert str(fault).startswith("x cannot be written: the disk takes no more (")
    assert "free some space, and run the same command again" in str(fault)
    assert "\n" not in str(fault) and len(str(fault)) < 400


def test_too_little_memory_of_the_host_and_of_the_device():
    with pytest.raises(MemoryError) as host:
        np.empty(2**60, np.uint8)
    fault = str(machine_error(host.value))
    assert fault.startswith("there is too little memory (Unable to allocate 1.00 EiB")
    with pytest.raises(Exception, match="RESOURCE_EXHAUSTED") as device:
        (jnp.zeros((2**45,), jnp.uint8) + 1).block_until_ready()
    fault = str(machine_error(device.value))
    assert "too little memory (RESOURCE_EXHAUSTED: Out of memory" in fault
    assert "batch_size" in fault and "\n" not in fault


def test_causes_are_looked_at_and_other_errors_are_none():
    with pytest.raises(RuntimeError) as raised:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/out/1.png")
        except OSError:
            raise RuntimeError("a library") from None
    assert "(/out/1.png: No space left on device)" in str(machine_error(raised.value))
    told = MachineError("as it is")
    assert machine_error(told, "more") is told
    for error in (KeyError("x"), OSError(errno.EACCES, "Permission denied"), ValueError("memory")):
        assert machine_error(error) is None


def test_whose_fault_it_is_that_a_file_cannot_be_written():
    assert isinstance(cannot_write("x", OSError(errno.ENOSPC, "full")), MachineError)
    refused = cannot_write("x", PermissionError(errno.EACCES, "Permission denied"))
    assert isinstance(refused, UserError) and str(refused) == (
        "x cannot be written: Permission denied."
    )
