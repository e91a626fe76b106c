"""Damage, and the bounds that every reader keeps on it."""

from __future__ import annotations

import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wrp_jax.types import UserError

SECONDS, BYTES = 1.0, 200 * 2**20
"""What reading a small file may take, however it is made."""

EXTREMES = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, -1]


def bounded(read: Callable[[], Any], *, small: bool = False) -> Any:
    """What ``read`` gives, or its ``UserError``; any other error, long time or memory fails.

    What is not ``small`` is read once more for the time, since watching memory takes time too.
    """

    def attempt() -> Any:
        try:
            return read()
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000
            return error

    tracemalloc.start()
    began = time.process_time()  # other programs may keep the machine busy
    try:
        result = attempt()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BYTES, f"{peak / 2**20:.0f} MiB"
    if not small:
        began = time.process_time()
        attempt()
    took = time.process_time() - began
    assert took < SECONDS, f"{took:.1f} s"
    return result


def in_a_program(module: str, function: str, *args: Any) -> Any:
    """What a function gives in a process of its own, as JSON: without the checks of types, which
    make a loop of many small calls a hundred times slower than the program is.
    """
    tests = pathlib.Path(__file__).parent
    places = [tests.parent, tests, tests / "weights"]
    code = (
        "import importlib, json, sys; module, function, args = json.loads(sys.argv[1]); "
        "print(json.dumps(getattr(importlib.import_module(module), function)(*args)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, json.dumps([module, function, args])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def sentences(reader: str, paths: Sequence[str]) -> list[str]:
    """What a reader says of each file within its bounds; for ``in_a_program``."""
    module, function = reader.split(":")
    read = getattr(importlib.import_module(module), function)
    found = []
    for path in paths:
        try:
            result = bounded(lambda path=path: read(pathlib.Path(path)))
        except AssertionError as error:
            raise AssertionError(f"{path}: {error}") from error
        found.append(str(result) if isinstance(result, UserError) else "")
    return found


def mutations(whole: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Cut, flipped, shifted, repeated, with numbers blown up, with packed members replaced."""
    rng = np.random.default_rng(seed)
    kinds = [_flip, _cut, _insert, _remove, _repeat, _number]
    if zipfile.is_zipfile(io.BytesIO(whole)):
        kinds += [_member] * 3
    for _ in range(count):
        data = whole
        for _ in range(int(rng.integers(1, 4))):
            data = kinds[int(rng.integers(len(kinds)))](data or b"\0", rng)
        if data != whole:
            yield data


def _at(data: bytes, rng: np.random.Generator) -> int:
    """A place, in half of the cases near an end, where headers stand."""
    edge = min(len(data), 128)
    near = int(rng.integers(-edge, edge)) % len(data)
    return near if rng.random() < 0.5 else int(rng.integers(len(data)))


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    at = _at(data, rng)
    return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: _at(data, rng)]


def _insert(data: bytes, rng: np.random.Generator) -> bytes:
    at = _at(data, rng)
    return data[:at] + rng.bytes(int(rng.integers(1, 9))) + data[at:]


def _remove(data: bytes, rng: np.random.Generator) -> bytes:
    at = _at(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 33)) :]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    at, length = _at(data, rng), int(rng.integers(1, 65))
    return data[:at] + data[at : at + length] * int(rng.integers(2, 50)) + data[at + length :]


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of one to eight bytes, or in digits, is replaced by an extreme one."""
    at, value = _at(data, rng), EXTREMES[int(rng.integers(len(EXTREMES)))]
    size = int(rng.choice([1, 2, 4, 8]))
    order = "little" if rng.random() < 0.7 else "big"
    digits = [i for i in range(len(data[:4096])) if data[i : i + 1].isdigit()]
    if digits and rng.random() < 0.5:
        at = digits[int(rng.integers(len(digits)))]
        return data[:at] + str(value).encode() + data[at + 1 :]
    return data[:at] + (value % 2 ** (8 * size)).to_bytes(size, order) + data[at + size :]


def _member(data: bytes, rng: np.random.Generator) -> bytes:
    """A member of an archive is damaged and packed anew, so that its checksum fits."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
    except Exception:
        return data  # damaged before
    kinds = [_flip, _cut, _insert, _remove, _repeat, _number]
    chosen = int(rng.integers(len(members)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (info, content) in enumerate(members):
            if number == chosen and content:
                content = kinds[int(rng.integers(len(kinds)))](content, rng)
            archive.writestr(info.filename, content, compress_type=info.compress_type)
    return buffer.getvalue()
