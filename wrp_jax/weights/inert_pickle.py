"""Follows a pickle's instructions without running any of it.

A small machine that keeps plain Python values: a global is its name, a call means something only
where the caller says so, and nothing is imported, looked up or executed on behalf of the file.

Time and memory are bounded by construction. Every instruction does a fixed amount of work beside
moving what earlier ones have pushed; what a call walks over counts as instructions; and their
number is limited. Keys of dictionaries are short strings, which Python hashes with a secret of the
process, and everything else that stands for a key is kept without being hashed or compared.

Left out are the instructions that no protocol with binary storages writes (protocol 0) and the
ones that look things up elsewhere (extensions, buffers).

Reference: the opcodes are documented in CPython's ``pickletools.py``.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wrp_jax.types import UserError

MAX_INSTRUCTIONS = 500_000
"""A 72 M-parameter network with its optimizer takes about 200 000."""

MAX_NAME = 512
"""Characters of a key, or of the name of a module, class or function."""


class CheckpointFormatError(UserError):
    """A weights file that is damaged, hostile or of another kind."""


class Global(NamedTuple):
    """The name of a class or function; only ever compared."""

    module: str
    name: str


class Opaque:
    """What an unknown call returned: can be stored and filled, holds nothing."""

    __slots__ = ("origin",)

    def __init__(self, origin: Global):
        self.origin = origin


_SET = Global("builtins", "set")
_PLAIN = {ord("N"): None, ord(")"): (), 0x88: True, 0x89: False}
_NUMBERS = {
    ord(code): struct.Struct(form)
    for code, form in {"J": "<i", "K": "<B", "M": "<H", "G": ">d"}.items()
}


def _whole(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _old_text(data: bytes) -> str:  # str of Python 2, of names in ASCII
    return data.decode("latin-1")


_COUNTED: dict[int, tuple[struct.Struct, Callable[[bytes], Any]]] = {
    code: (struct.Struct(form), decode)
    for code, form, decode in (
        *((ord("X"), "<I", _text), (0x8C, "<B", _text), (0x8D, "<Q", _text)),
        *((ord("U"), "<B", _old_text), (ord("T"), "<I", _old_text)),
        *((ord("C"), "<B", bytes), (ord("B"), "<I", bytes), (0x8E, "<Q", bytes)),
        *((0x96, "<Q", bytes), (0x8A, "<B", _whole), (0x8B, "<I", _whole)),
    )
}
"""Instructions that push what follows them: the form of its length, and what it means."""


class _Machine:
    """One pickle's stack and memo, and the place in the bytes that it is read from."""

    def __init__(
        self,
        data: bytes | mmap.mmap,
        start: int,
        calls: Mapping[Global, Callable[..., Any]],
        persistent: Callable[[Any], Any],
    ) -> None:
        self.data, self.place = data, start
        self.calls, self.persistent = calls, persistent
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below the marks
        self.memo: dict[int, Any] = {}
        self.done = 0

    # --- what follows an instruction ---------------------------------------------------------

    def take(self, count: int) -> bytes:
        data = self.data[self.place : self.place + count]
        if len(data) < count:
            raise CheckpointFormatError("its pickle is cut off")
        self.place += count
        return data

    def number(self, form: struct.Struct) -> Any:
        return form.unpack(self.take(form.size))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.place, self.place + MAX_NAME + 1)
        if end < 0:
            raise CheckpointFormatError("its pickle has a line without an end")
        text = _text(self.data[self.place : end])
        self.place = end + 1
        return text

    # --- the stack ---------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def last(self, count: int) -> list[Any]:
        """Takes so many values off, the last one last."""
        if len(self.stack) < count:
            raise IndexError
        found = self.stack[-count:]
        del self.stack[-count:]
        return found

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """Takes off what was pushed since the last mark."""
        found, self.stack = self.stack, self.outer.pop()
        return found

    # --- instructions ------------------------------------------------------------------------

    def keep(self, index: int) -> None:
        # Picklers number what they keep, so that no index is beyond the count of instructions.
        if index > self.done:
            raise CheckpointFormatError("its pickle keeps a value in a place of no pickle")
        self.memo[index] = self.stack[-1]

    def fill(self, pairs: list[Any]) -> None:
        """Sets items of the dictionary on top, or of what stands for one."""
        target = self.stack[-1]
        if isinstance(target, Opaque):
            return
        if type(target) is not dict or len(pairs) % 2:
            raise CheckpointFormatError("an item is set on something that is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[checked_key(key)] = value

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque):
            return
        if type(target) is not list:
            raise CheckpointFormatError("an element is appended to something that is no list")
        target.extend(items)

    def build(self) -> None:
        # State is dropped: the only one of interest, a state dict's `_metadata`, says nothing
        # about the numbers.
        self.last(1)
        if not isinstance(self.stack[-1], (Opaque, dict)):
            raise CheckpointFormatError("state is set on something that has none")

    def name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str or len(module + name) > MAX_NAME:
            raise CheckpointFormatError("a global has no name")
        self.push(Global(module, name))

    def call(self) -> None:
        function, arguments = self.last(2)
        if type(arguments) is not tuple or not isinstance(function, (Global, Opaque)):
            raise CheckpointFormatError("something that is no function is called")
        known = self.calls.get(function) if isinstance(function, Global) else None
        if known is None:
            self.push(Opaque(function) if isinstance(function, Global) else function)
            return
        self.done += len(arguments)
        self.done += sum(len(part) for part in arguments if isinstance(part, (list, tuple)))
        self.check_done()
        self.push(known(*arguments))

    def check_done(self) -> None:
        if self.done > MAX_INSTRUCTIONS:
            raise CheckpointFormatError("its pickle is longer than any checkpoint's")

    def step(self, code: int) -> None:
        """One instruction; ``STOP`` is the caller's."""
        if code in _COUNTED:
            form, decode = _COUNTED[code]
            self.push(decode(self.take(self.number(form))))
        elif code in _NUMBERS:
            self.push(self.number(_NUMBERS[code]))
        elif code in _PLAIN:
            self.push(_PLAIN[code])
        elif code in _INSTRUCTIONS:
            _INSTRUCTIONS[code](self)
        else:
            raise CheckpointFormatError(f"its pickle uses the instruction {bytes([code])!r}")


def _whole_line(machine: _Machine) -> int | bool:
    """``INT`` and ``LONG`` of protocol 1, where truth values are numbers of two digits."""
    text = machine.line()
    return {"00": False, "01": True}[text] if text in ("00", "01") else int(text.rstrip("L"))


_SHORT, _LONG = struct.Struct("<B"), struct.Struct("<I")
_INSTRUCTIONS: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("I"): lambda m: m.push(_whole_line(m)),
    ord("L"): lambda m: m.push(_whole_line(m)),
    ord("q"): lambda m: m.keep(m.number(_SHORT)),
    ord("r"): lambda m: m.keep(m.number(_LONG)),
    0x94: lambda m: m.keep(len(m.memo)),  # MEMOIZE
    ord("h"): lambda m: m.push(m.memo[m.number(_SHORT)]),
    ord("j"): lambda m: m.push(m.memo[m.number(_LONG)]),
    ord("("): _Machine.mark,
    ord("]"): lambda m: m.push([]),
    ord("}"): lambda m: m.push({}),
    0x8F: lambda m: m.push(Opaque(_SET)),  # EMPTY_SET
    0x90: lambda m: m.extend(m.items()),  # ADDITEMS
    0x91: lambda m: (m.items(), m.push(Opaque(_SET))),  # FROZENSET
    0x85: lambda m: m.push(tuple(m.last(1))),
    0x86: lambda m: m.push(tuple(m.last(2))),
    0x87: lambda m: m.push(tuple(m.last(3))),
    ord("t"): lambda m: m.push(tuple(m.items())),
    ord("a"): lambda m: m.extend(m.last(1)),
    ord("e"): lambda m: m.extend(m.items()),
    ord("s"): lambda m: m.fill(m.last(2)),
    ord("u"): lambda m: m.fill(m.items()),
    ord("c"): lambda m: m.name(m.line(), m.line()),
    0x93: lambda m: m.name(*m.last(2)),  # STACK_GLOBAL
    ord("R"): _Machine.call,
    0x81: _Machine.call,  # NEWOBJ
    0x92: lambda m: (m.last(1), m.call()),  # NEWOBJ_EX
    ord("b"): _Machine.build,
    ord("Q"): lambda m: m.push(m.persistent(*m.last(1))),
    ord("0"): lambda m: m.last(1) if m.stack else m.items(),
    ord("1"): _Machine.items,  # POP_MARK
}
_STOP = ord(".")


def checked_key(key: Any) -> Any:
    """What stands for a key in a dictionary: itself if it is a name, else something unique."""
    if type(key) is not str:
        return object()
    if len(key) > MAX_NAME:
        raise CheckpointFormatError("an entry has a name that is longer than any checkpoint's")
    return key


def follow(
    data: bytes | mmap.mmap,
    start: int = 0,
    calls: Mapping[Global, Callable[..., Any]] | None = None,
    persistent: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """Follows one pickle and returns the plain value it describes.

    Args:
      data: what holds it.
      start: place of its first byte.
      calls: what a call of these names gives; any other gives an ``Opaque``. They may walk over
        the lists and tuples among their arguments, but not deeper.
      persistent: what a persistent id gives.

    Returns:
      The value: dictionaries, lists, tuples, numbers and strings, ``Global``, ``Opaque`` and
      what the functions gave. Containers may hold themselves: walk them with care. Then the
      place behind the pickle.

    Raises:
      CheckpointFormatError: the pickle is damaged or does what no checkpoint needs.
    """
    machine = _Machine(data, start, calls or {}, persistent or _no_persistent_id)
    try:
        while (code := data[machine.place]) != _STOP:
            machine.place += 1
            machine.done += 1
            machine.check_done()
            machine.step(code)
        (result,) = machine.stack
    except CheckpointFormatError:
        raise
    except (IndexError, KeyError, ValueError) as error:
        # An empty stack, a memo without the value, digits that are none, a place beyond the end.
        raise CheckpointFormatError("its pickle takes more than it holds or is cut off") from error
    if machine.outer:
        raise CheckpointFormatError("its pickle ends with values left over")
    return result, machine.place + 1


def _no_persistent_id(pid: Any) -> Any:
    raise CheckpointFormatError("its pickle refers to something outside of it")
