"""A server of reports for the machine it runs on: pages of outputs, and frames of their videos.

It answers to browsers on this machine alone, gives files of the outputs that a report is made of,
and of the video those frames alone that the output names. It writes nothing.
"""

from __future__ import annotations

import email.utils
import functools
import http.server
import os
import re
import urllib.parse
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from wrp_jax.files.regular import open_regular, read_bytes
from wrp_jax.reporting.clips import CLIP_SCRIPT, read_clip_script
from wrp_jax.reporting.index_page import index_page
from wrp_jax.types import UserError

HOST = "127.0.0.1"
REPORT_FILE = "report.html"
VIDEO = ".video"
"""``<sequence>/.video/<frame>``: a frame of the video, wherever its file lies."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}
_PICTURES = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP|BM", re.DOTALL)
_POLICY = (
    "default-src 'none'; img-src 'self' data:; script-src 'self' 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class ReportServer(http.server.ThreadingHTTPServer):
    """Serves reports: one at ``/``, several below ``/1/``, ``/2/``, … with an index of them."""

    daemon_threads = True
    allow_reuse_address = os.name != "nt"

    def __init__(self, outputs: Sequence[Path], port: int):
        """Takes the port; ``serve_forever`` answers.

        Args:
          outputs: that ``propagate`` has written.
          port: 0 for any that is free.

        Raises:
          UserError: an output has no report, or the port is taken.
        """
        for output in outputs:
            if not (output / REPORT_FILE).is_file():
                raise UserError(
                    f"{output} has no {REPORT_FILE}: give the --output of a wrp propagate that "
                    "has ended."
                )
        self.outputs = tuple(Path(os.path.abspath(output)) for output in outputs)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            why = str(getattr(error, "strerror", None) or error).rstrip(".")
            raise UserError(f"--port={port} cannot be used: {why}.") from error

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server_port}/"

    def lacks_slash(self, path: str) -> bool:
        """Whether an address is that of one of several reports but for the ``/`` at its end."""
        return len(self.outputs) > 1 and path[:1] == "/" and self._is_number(path[1:])

    def _is_number(self, part: str) -> bool:
        return bool(re.fullmatch("[1-9][0-9]{0,5}", part)) and int(part) <= len(self.outputs)

    def find(self, path: str) -> tuple[Path, bool] | None:
        """The file of an address, and whether it is one of the video; None: there is none.

        Args:
          path: of the address, without what follows ``?``; as it was sent.
        """
        parts = [urllib.parse.unquote(part, errors="surrogateescape") for part in path.split("/")]
        if parts[:1] != [""] or any(_is_no_name(part) for part in parts[1:-1]):
            return None
        parts = parts[1:]
        if len(self.outputs) == 1:
            output = self.outputs[0]
        else:
            number, *parts = parts
            if not self._is_number(number):
                return None
            output = self.outputs[int(number) - 1]
        if not parts:
            return None
        parts[-1] = parts[-1] or REPORT_FILE
        if len(parts) == 3 and parts[1] == VIDEO:
            return _frame(output, parts[0], parts[2])
        if any(_is_no_name(part) or part.startswith(".") for part in parts):
            return None
        file = output.joinpath(*parts)
        if file.suffix.lower() not in _TYPES or not _lies_in(file, output):
            return None
        return file, False


def _is_no_name(part: str) -> bool:
    return part in ("", ".", "..") or bool(re.search(r"[/\\\0]", part))


def _lies_in(file: Path, folder: Path) -> bool:
    """Whether a file is there and, links followed, in the folder."""
    try:
        return file.is_file() and file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def _frame(output: Path, sequence: str, name: str) -> tuple[Path, bool] | None:
    if _is_no_name(sequence) or sequence.startswith("."):
        return None
    script = output / sequence / CLIP_SCRIPT
    if not _lies_in(script, output):
        return None
    file = _frames_of(script, script.stat().st_mtime_ns).get(name)
    return None if file is None else (file, True)


@functools.lru_cache(maxsize=64)
def _frames_of(script: Path, changed: int) -> dict[str, Path]:
    """The files of the video that the script of a clip names, by frame."""
    del changed
    try:
        content: dict[str, Any] = read_clip_script(read_bytes(script).decode())
        pictures = content.get("pictures", {})
        found = {}
        for name, file in zip(content["names"], pictures.get("files", ()), strict=False):
            if file is None:
                continue
            address = urllib.parse.urlsplit(f"{pictures['address']}/{file}")
            path = Path(urllib.parse.unquote(address.path))
            # As the page does: by its way from the output first, which moves with it.
            if pictures["folder"] is not None:
                way = urllib.parse.unquote(f"{pictures['folder']}/{file}")
                near = Path(os.path.normpath(script.parents[1] / way))
                path = near if near.is_file() else path
            found[str(name)] = path
        return found
    except (UserError, ValueError, KeyError, TypeError, AttributeError):
        return {}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ReportServer
    server_version, sys_version = "wrp", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        # Another site's name that leads here is not this server's: its pages may not read it.
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        path = self.path.partition("?")[0]
        if path == "/" and len(self.server.outputs) > 1:
            self._send(index_page(self.server.outputs).encode(), _TYPES[".html"], {})
            return
        if self.server.lacks_slash(path):  # addresses in the page are below its folder
            self._send(b"", "", {"Location": f"{path}/"}, HTTPStatus.MOVED_PERMANENTLY)
            return
        found = self.server.find(path)
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        self._send_file(*found)

    def _send_file(self, file: Path, is_video: bool) -> None:
        try:
            with open_regular(file) as stream:
                state = os.fstat(stream.fileno())
                mark = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
                headers = {
                    "ETag": mark,
                    "Last-Modified": email.utils.formatdate(state.st_mtime, usegmt=True),
                }
                if self.headers.get("If-None-Match") == mark:
                    self._send(b"", "", headers, HTTPStatus.NOT_MODIFIED)
                    return
                data = stream.read(state.st_size)
        except (UserError, OSError):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        kind = _TYPES.get(file.suffix.lower(), "")
        if is_video and not (kind.startswith("image/") and _PICTURES.match(data)):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        self._send(data, kind, headers)

    def _send(
        self,
        data: bytes,
        kind: str,
        headers: dict[str, str],
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and data:
            self.wfile.write(data)

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(f"{status.phrase}\n".encode(), "text/plain; charset=utf-8", {}, status)

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-cache")  # asked again each time: a rerun writes anew
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a page of pictures would fill the terminal."""
