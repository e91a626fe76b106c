"""What a lone process does; several are started in ``training/test_several_processes.py``."""

import pytest

from wrp_jax import processes
from wrp_jax.types import UserError


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("host:1", None, 0), "--num_processes is missing"),
        ((None, 2, None), "--coordinator and --process_id is missing"),
        (("host", 2, 0), "--coordinator=host is not HOST:PORT"),
        (("host:1", 2, 2), r"--process_id=2 is not one of the 2 processes: give 0…1"),
        (("host:1", 2, -1), r"--process_id=-1 is not one"),
    ],
)
def test_flags_that_do_not_belong_together_are_refused(given, says):
    with pytest.raises(UserError, match=says), processes.joined(*given):
        pass


@pytest.mark.parametrize("given", [(None, None, None), ("host:1", 1, 0)])
def test_a_lone_process_waits_for_nobody(given, monkeypatch):
    for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    with processes.joined(*given):
        processes.align()
        assert processes.first(lambda: [1]) == [1]
