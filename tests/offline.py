"""Programs that cannot reach a network: whoever tries ends at once."""

from pathlib import Path

CODE = 77
"""The exit code of a program that tried."""

_GUARD = f"""
import os, sys

LOCAL = ("localhost", "127.0.0.1", "::1", "", None)
NAMES = {{"socket.getaddrinfo": 0, "socket.gethostbyname": 0}}
ADDRESSES = {{"socket.connect": 1, "socket.sendto": 1}}


def guard(event, arguments):
    if event in NAMES:
        host = arguments[NAMES[event]]
    elif event in ADDRESSES:
        address = arguments[ADDRESSES[event]]
        host = address[0] if isinstance(address, tuple) else None  # a file: another program here
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL:
        os.write(2, f"tried to reach {{host}}\\n".encode())
        os._exit({CODE})  # an exception could be caught: a download that fails must not be tried


sys.addaudithook(guard)
"""


def guarded(folder: Path) -> str:
    """Writes the guard; first in PYTHONPATH, the folder puts it into every program started."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_GUARD)
    return str(folder)
