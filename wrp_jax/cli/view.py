"""Shows the reports of outputs in a browser, from a server for this machine alone.

  wrp view OUT
  wrp view OUT OTHER_OUT --port=8080 --open

Prints the address to open, and ends by Ctrl-C. The reports open without it, too: OUT/report.html in
a browser. From the server they also say which class the mouse points at, and frames of videos that
lie elsewhere are found from any browser of this machine. Several outputs get a page that compares
them. From another machine: ssh -L 8642:127.0.0.1:8642 HOST, and open http://127.0.0.1:8642/ there.
"""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line
from wrp_jax.types import UserError

POSITIONAL = ("output",)
_PORT = 8642
_LOOK_EVERY = 0.2  # seconds: whether the program was told to end


def define_flags() -> None:
    """Defines the flags."""
    flags.DEFINE_multi_string("output", None, "OUT; or the arguments.")
    flags.DEFINE_integer(
        "port", None, f"To listen on; {_PORT} or, where it is taken, any that is free."
    )
    flags.DEFINE_bool("open", False, "Opens the browser.")


def main() -> None:
    """Reads the flags and serves until it is told to end."""
    from wrp_jax import interrupts

    command_line.require("output")
    options = flags.FLAGS
    server = _start([Path(output) for output in options.output], options.port)
    print(f"{server.address} shows the report; Ctrl-C ends.", flush=True)
    thread = threading.Thread(target=server.serve_forever, name="reports", daemon=True)
    with server:
        thread.start()
        if options.open:
            webbrowser.open(server.address)
        while interrupts.requested() is None and thread.is_alive():
            thread.join(_LOOK_EVERY)
        server.shutdown()


def _start(outputs: list[Path], port: int | None):
    from wrp_jax.reporting.server import ReportServer

    if port is not None:
        return ReportServer(outputs, port)
    try:
        return ReportServer(outputs, _PORT)
    except UserError:
        return ReportServer(outputs, 0)  # says what else is wrong
