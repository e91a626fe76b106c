"""Several processes that train one network: how they find each other, agree, and end together.

Steps of training exchange gradients on the devices. Whatever else processes tell each other goes
through the coordination service of ``jax.distributed``, which needs no device: what the first of
them has done for all (``first``), that all are there (``align``), that one was told to stop or has
failed. Where there is one process, every function here does what a plain program would do.

Reference: ``jax.distributed``; big_vision and MaxText let process 0 write, too.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax._src import distributed  # the one way to the client that jax.distributed has made

from wrp_jax import interrupts
from wrp_jax.types import Interrupted, MachineError, UserError

CONNECT_SECONDS = 300
"""How long a process waits for the others at the start."""

LOST_SECONDS = 30
"""After so long without a sign of a process the others end. JAX's own time is 100 seconds; then it
aborts them."""

_EXIT_MACHINE = 5
_POLL_SECONDS = 0.5  # between looks at what other processes tell
_GRACE_SECONDS = 10.0  # for the main thread to end by itself, once another process has failed
_SHUTDOWN_SECONDS = 60  # for all to end: then the rest is given up
_TOLD, _STOP, _ENDED = "wrp_jax/told/", "wrp_jax/told/stop", "wrp_jax/told/ended"
_SIGNS, _LEFT = "wrp_jax/signs/", "left"
_SIGN_EVERY = 4  # polls

_ending = threading.Lock()

_turn = itertools.count()
"""Numbers the exchanges. All processes make the same ones in the same order."""


class _LostError(MachineError):
    """Another process is no more. The end of JAX would wait for it, and then abort this one."""


@contextlib.contextmanager
def joined(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: int = CONNECT_SECONDS,
    lost_after: int = LOST_SECONDS,
) -> Iterator[None]:
    """The processes of a job work together while the body runs; a lone process works alone.

    To be called before anything that starts a backend. On TPU slices, under SLURM (``srun``) and
    under Open MPI the processes find each other by themselves; elsewhere all three arguments are
    needed. A signal to stop that one process gets reaches all of them. Where one process fails,
    the others end within ten seconds. Where one is killed or its machine goes, they end when an
    exchange with it fails, or else ``lost_after`` and ten seconds later, whatever they wait for.

    Args:
      coordinator: ``HOST:PORT`` of process 0, which all processes reach.
      num_processes: how many there are.
      process_id: which this one is, from 0.
      timeout: seconds to wait for all of them.
      lost_after: seconds without a sign of a process after which it is taken for lost.

    Raises:
      UserError: arguments that do not belong together.
    """
    _connect(coordinator, num_processes, process_id, timeout)
    if jax.process_count() == 1:
        yield
        return
    done = threading.Event()
    _give_sign("here")  # one that goes before its first turn is missed as well
    watch = (done, lost_after)
    threading.Thread(target=_relay, args=watch, name="processes", daemon=True).start()
    try:
        yield
    except BaseException as error:
        lost = _lost_process(error)
        if lost is not None:  # which the end of JAX would wait for
            time.sleep(_served())
            _end(_EXIT_MACHINE, lost)
        _tell(_ENDED, {"process": jax.process_index(), "code": _code(error), "why": _line(error)})
        raise
    finally:
        done.set()
        _give_sign(_LEFT)


def first(function: Callable[[], Any]) -> Any:
    """Calls a function in process 0 alone, and returns what it returned in every process.

    Args:
      function: returns a JSON value. What it raises as ``UserError`` or ``MachineError`` is
        raised everywhere.
    """
    if jax.process_count() == 1:
        return function()
    key = f"wrp_jax/{next(_turn)}"
    if jax.process_index() != 0:
        value, kind, why = _await(key)
        if kind is not None:
            raise {"UserError": UserError, "MachineError": MachineError}[kind](why)
        return value
    try:
        value = function()
    except (UserError, MachineError) as error:
        kind = "UserError" if isinstance(error, UserError) else "MachineError"
        _client().key_value_set(key, json.dumps([None, kind, str(error)]))
        raise
    _client().key_value_set(key, json.dumps([value, None, None]))
    return value


def gather(value: Any) -> list[Any]:
    """The JSON values that all processes give, by process; in all but process 0 an empty list."""
    if jax.process_count() == 1:
        return [value]
    turn = next(_turn)
    if jax.process_index() != 0:
        _client().key_value_set(f"wrp_jax/{turn}/{jax.process_index()}", json.dumps(value))
        return []
    others = range(1, jax.process_count())
    values = [value, *(_await(f"wrp_jax/{turn}/{other}") for other in others)]
    _client().key_value_delete(f"wrp_jax/{turn}/")
    return values


def align() -> None:
    """Returns when every process has come to this line.

    Before the first exchange on devices, for instance: they wait for each other for a while only
    (gloo 30 s), and one process may compile minutes longer than another.
    """
    gather(None)
    first(lambda: None)


def say(text: str) -> None:
    """Prints to stderr, in process 0 alone."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr)


def _connect(
    coordinator: str | None, num_processes: int | None, process_id: int | None, timeout: int
) -> None:
    given = (coordinator, num_processes, process_id)
    if any(value is not None for value in given):
        _check_flags(coordinator, num_processes, process_id)
        if num_processes == 1:
            return
    elif "1" in (os.environ.get("SLURM_NTASKS"), os.environ.get("OMPI_COMM_WORLD_SIZE")):
        return
    # JAX's own handler of SIGTERM would take the place of ours, which knows Ctrl-C too.
    jax.config.update("jax_enable_preemption_service", False)
    # In a pod of a single process it means nothing, elsewhere the flags are needed anyway.
    warnings.filterwarnings("ignore", r"\s*Kubernetes environment detected")
    connected = threading.Event()
    watch = (connected, coordinator, num_processes, process_id, timeout)
    threading.Thread(target=_watch_connecting, args=watch, daemon=True).start()
    try:
        jax.distributed.initialize(
            *given,
            cluster_detection_method="deactivate" if coordinator else None,
            initialization_timeout=timeout + 60,  # by then we have ended: JAX would abort
            shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
        )
    except ValueError as error:
        if coordinator is None and "coordinator_address" in str(error):
            return  # nothing here tells of other processes
        raise UserError(
            f"the processes of this job cannot be found ({error}): give --coordinator, "
            "--num_processes and --process_id."
        ) from error
    finally:
        connected.set()


def _check_flags(coordinator: str | None, num_processes: int | None, process_id: int | None):
    flags = {
        "--coordinator": coordinator, "--num_processes": num_processes, "--process_id": process_id,
    }  # fmt: skip
    missing = [name for name, value in flags.items() if value is None]
    if missing or coordinator is None or num_processes is None or process_id is None:
        raise UserError(
            f"{' and '.join(missing)} is missing: several processes need --coordinator=HOST:PORT "
            "(of process 0), --num_processes=N and --process_id=0…N-1."
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"--coordinator={coordinator} is not HOST:PORT, e.g. 10.0.0.1:8476.")
    if not 0 <= process_id < num_processes:
        raise UserError(
            f"--process_id={process_id} is not one of the {num_processes} processes: give "
            f"0…{num_processes - 1}."
        )


def _watch_connecting(
    connected: threading.Event,
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    timeout: int,
) -> None:
    """Ends the program where the others do not come, or where it is told to stop meanwhile.

    The main thread waits in C++, which sees no signal and aborts when its time is over.
    """
    deadline = time.monotonic() + timeout
    while not connected.wait(0.2):
        reason = interrupts.requested()
        if reason is not None:
            _end(interrupts.EXIT_CODE, f"{reason} while waiting for other processes")
        if time.monotonic() > deadline:
            who = "this process" if process_id is None else f"process {process_id}"
            _end(_EXIT_MACHINE, f"{who} {_missing(coordinator, num_processes, timeout)}")


def _missing(coordinator: str | None, num_processes: int | None, timeout: int) -> str:
    waited = f"has waited {timeout} s for the other processes"
    if coordinator is None:
        return f"{waited} of its job: start all of them, and look whether one has failed."
    host, _, port = coordinator.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        return (
            f"{waited}: process 0 is missing, nothing answers at --coordinator={coordinator} "
            f"({error.strerror or error}). Start it, correct the address, or open the port."
        )
    return (
        f"{waited}: fewer than --num_processes={num_processes} have come to {coordinator}. Start "
        "each --process_id once, with the same --coordinator and --num_processes."
    )


def _client() -> Any:
    return distributed.global_state.client


def _await(key: str) -> Any:
    """The JSON value of a key, once another process has set it."""
    while True:
        try:
            return json.loads(_client().blocking_key_value_get(key, int(_POLL_SECONDS * 1000)))
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                why = f"process 0 does not answer any more ({_line(error)[:160]})"
                raise _LostError(why) from error
        ended = _told().get(_ENDED)
        if ended is not None:
            _raise_ended(ended)


def _raise_ended(ended: dict[str, Any]) -> None:
    if ended["code"] == interrupts.EXIT_CODE:
        raise Interrupted(ended["why"])
    raise (_LostError if ended.get("lost") else MachineError)(_other_failed(ended))


def _other_failed(ended: dict[str, Any]) -> str:
    return f"process {ended['process']} has ended: {ended['why']}"


def _told() -> dict[str, Any]:
    """What processes have told all others, by key."""
    return {key: json.loads(value) for key, value in _client().key_value_dir_get(_TOLD)}


def _tell(key: str, value: Any) -> None:
    """Tells all processes; the first one to speak is heard."""
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # ALREADY_EXISTS, or nobody listens
        _client().key_value_set(key, json.dumps(value))


def _give_sign(sign: str) -> None:
    """Process 0 sees that this one is alive, or has left."""
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        key = f"{_SIGNS}{jax.process_index()}"
        _client().key_value_set(key, sign, allow_overwrite=True)


def _tell_of_lost(heard: dict[str, tuple[str, float]], lost_after: int) -> None:
    """Tells all processes of one that has given no sign for too long.

    Args:
      heard: key of a process → its last sign, and when that was new; brought up to date.
      lost_after: seconds.
    """
    now = time.monotonic()
    for key, sign in _client().key_value_dir_get(_SIGNS):
        last, when = heard.get(key, (None, now))
        heard[key] = (sign, now if sign != last else when)
        if sign != _LEFT and now - heard[key][1] > lost_after:
            why = f"it has given no sign for {lost_after} s"
            process = int(key.rpartition("/")[2])
            said = {"process": process, "code": _EXIT_MACHINE, "why": why, "lost": True}
            _tell(_ENDED, said)


def _relay(done: threading.Event, lost_after: int) -> None:
    """Hands signals to stop on, both ways, and ends this process where another one has failed."""
    told = False
    heard: dict[str, tuple[str, float]] = {}
    for turn in itertools.count():
        if done.wait(_POLL_SECONDS):
            return
        if turn % _SIGN_EVERY == 0:
            _give_sign(str(turn))
        reason = interrupts.requested()
        if reason is not None and not told:
            told = True
            _tell(_STOP, reason)
        try:
            if jax.process_index() == 0:
                _tell_of_lost(heard, lost_after)
            news = _told()
        except jax.errors.JaxRuntimeError:
            return
        if _STOP in news:
            told = True
            interrupts.request(f"{news[_STOP]} in one process")
        ended = news.get(_ENDED)
        if ended is not None and ended["process"] != jax.process_index():
            lost = ended.get("lost", False)
            if done.wait(_POLL_SECONDS if lost else _GRACE_SECONDS):
                return
            # The main thread waits for devices of a process that is no more.
            if lost:  # which the end of JAX would wait for
                time.sleep(_served())
            else:
                with contextlib.suppress(jax.errors.JaxRuntimeError):
                    jax.distributed.shutdown()
            _end(_EXIT_MACHINE if ended["code"] != interrupts.EXIT_CODE else ended["code"],
                 _other_failed(ended))  # fmt: skip


def _served() -> float:
    """Seconds for which process 0 still serves the others: they end first, or JAX aborts them."""
    return 4 * _POLL_SECONDS if jax.process_index() == 0 else 0.0


def _lost_process(error: BaseException | None) -> str | None:
    """What to say where an exchange has failed since a process is no more, else None."""
    while error is not None:
        if isinstance(error, _LostError):
            return str(error)
        if isinstance(error, jax.errors.JaxRuntimeError) and "gloo" in str(error).lower():
            return f"another process does not answer any more ({_line(error)[:160]})"
        error = error.__cause__ or error.__context__
    return None


def _code(error: BaseException) -> int:
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return interrupts.EXIT_CODE
    return _EXIT_MACHINE


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _end(code: int, why: str) -> None:
    _ending.acquire()  # for good: the main thread and the others hear of the same end
    with contextlib.suppress(OSError):
        text = f"{os.path.basename(sys.argv[0])}: {why}; run the same command to go on.\n"
        os.write(2, text.replace(".; run", "; run").encode())
    os._exit(code)
