"""Follows a pickle's instructions without running any of it.

``pickletools.genops`` takes the byte stream apart; the small machine below keeps plain Python
values only. A global is its name (``Global``), a call of anything outside ``CALLS`` gives an
``Opaque``, and nothing is imported, looked up or called on behalf of the file. What a PyTorch
checkpoint needs beyond plain values are storages (persistent ids) and tensors over them, which
stay descriptions: ``pth_reader.py`` turns the wanted ones into arrays.

Reference: the opcodes are documented in CPython's ``pickletools.py``; what PyTorch writes is in
pytorch/pytorch, ``torch/serialization.py`` and ``torch/_utils.py``.
"""

from __future__ import annotations

import math
import pickletools
from typing import Any, NamedTuple

from wrp_jax.types import UserError

MAX_INSTRUCTIONS = 2_000_000
"""A 72 M-parameter network with its optimizer takes about 200 000."""

MAX_DIMENSIONS = 8
MAX_ELEMENTS = 2**40
MAX_KEY = 2**60
"""Python hashes multiples of 2^61 - 1 alike: a dictionary of many takes the square of the time."""


class CheckpointFormatError(UserError):
    """A weights file that is damaged, hostile or of another kind."""


class Global(NamedTuple):
    """The name of a class or function; only ever compared."""

    module: str
    name: str


class Opaque:
    """What an unknown call returned: can be stored and filled, holds nothing."""

    def __init__(self, origin: str):
        self.origin = origin


class StorageRef(NamedTuple):
    """A run of numbers elsewhere in the file. ``offset`` and ``numel`` count elements."""

    key: str
    type_name: str
    numel: int
    offset: int = 0


class TensorRef(NamedTuple):
    """A strided view of a storage, inside its bounds and without overlap by count."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    pass


_MARK = _Mark()
_KEY_TYPES = (str, int, float, bytes, bool, type(None))


def _count(value: Any, what: str) -> int:
    if type(value) is not int or value < 0:
        raise CheckpointFormatError(f"{what} is not a count")
    return value


def _counts(value: Any, what: str) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > MAX_DIMENSIONS:
        raise CheckpointFormatError(f"{what} is not a tuple of at most {MAX_DIMENSIONS} counts")
    return tuple(_count(item, what) for item in value)


def _storage(pid: Any) -> StorageRef:
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise CheckpointFormatError("a persistent id is not a storage")
    _, kind, key, _, numel = pid[:5]
    if not isinstance(kind, Global) or kind.module not in ("torch", "torch.cuda", "torch.storage"):
        raise CheckpointFormatError("a storage has no known element type")
    if type(key) is not str:
        raise CheckpointFormatError("a storage key is not a string")
    storage = StorageRef(key, kind.name, _count(numel, "the length of a storage"))
    view = pid[5] if len(pid) == 6 else None
    if view is None:
        return storage
    if not isinstance(view, tuple) or len(view) != 3:
        raise CheckpointFormatError("a storage view is malformed")
    offset = _count(view[1], "the offset of a storage view")
    length = _count(view[2], "the length of a storage view")
    if offset + length > storage.numel:
        raise CheckpointFormatError("a storage view reaches beyond its storage")
    # Tensors are checked against the whole storage, from which the view starts at `offset`.
    return storage._replace(offset=offset)


def _tensor(*args: Any) -> TensorRef:
    if len(args) < 4 or not isinstance(args[0], StorageRef):
        raise CheckpointFormatError("a tensor is not built on a storage")
    storage = args[0]
    offset = _count(args[1], "the offset of a tensor") + storage.offset
    shape = _counts(args[2], "the shape of a tensor")
    strides = _counts(args[3], "the strides of a tensor")
    if len(shape) != len(strides):
        raise CheckpointFormatError("a tensor's shape and strides differ in length")
    size = math.prod(shape)
    if any(step == 0 and length > 1 for length, step in zip(shape, strides, strict=True)):
        raise CheckpointFormatError("a tensor repeats its numbers with stride 0")
    last = sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
    if size > storage.numel or (size and offset + last >= storage.numel):
        raise CheckpointFormatError("a tensor reaches beyond its storage")
    if math.prod(max(1, length) for length in shape) > MAX_ELEMENTS:
        raise CheckpointFormatError("an empty tensor has an impossible shape")
    # The stride of a single element moves nothing, but may be too large for NumPy.
    strides = tuple(s if length > 1 else 0 for length, s in zip(shape, strides, strict=True))
    return TensorRef(storage, offset, shape, strides)


def _parameter(*args: Any) -> TensorRef:
    if not args or not isinstance(args[0], TensorRef):
        raise CheckpointFormatError("a parameter holds no tensor")
    return args[0]


def _ordered_dict(*args: Any) -> dict:
    result: dict = {}
    for pair in args[0] if args and isinstance(args[0], (list, tuple)) else ():
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise CheckpointFormatError("an OrderedDict is not built from pairs")
        _set(result, pair[0], pair[1])
    return result


def _size(*args: Any) -> tuple[int, ...]:
    return _counts(args[0] if args else (), "a torch.Size")


CALLS = {
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("torch", "Size"): _size,
}
"""The only calls that mean something here; all others give an ``Opaque``."""


def _call(function: Any, args: Any) -> Any:
    if not isinstance(args, tuple):
        raise CheckpointFormatError("a call has no argument tuple")
    if isinstance(function, Global):
        known = CALLS.get(function)
        return known(*args) if known else Opaque(f"{function.module}.{function.name}")
    if isinstance(function, Opaque):
        return function
    raise CheckpointFormatError("something that is no function is called")


def _set(target: Any, key: Any, value: Any) -> None:
    if isinstance(target, Opaque):
        return
    # Nested tuples as keys are refused because hashing them can take for ever.
    if type(target) is not dict or not isinstance(key, _KEY_TYPES):
        raise CheckpointFormatError("an item is set on something that is no dictionary")
    target[_hashed(key)] = value


def _hashed(key: Any) -> Any:
    if type(key) is int and abs(key) > MAX_KEY:
        raise CheckpointFormatError("an entry has a number for its name that no checkpoint has")
    return key


def _extend(target: Any, items: list) -> None:
    if isinstance(target, Opaque):
        return
    if type(target) is not list:
        raise CheckpointFormatError("an element is appended to something that is no list")
    target.extend(items)


def _build(target: Any) -> None:
    # State is dropped: the only one of interest, a state dict's `_metadata`, says nothing about
    # the numbers.
    if not isinstance(target, (Opaque, dict)):
        raise CheckpointFormatError("state is set on something that has none")


class _Machine:
    """One pickle's stack and memo."""

    def __init__(self, storages: dict[str, StorageRef]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages = storages

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise CheckpointFormatError("its pickle takes more than it holds")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise CheckpointFormatError("its pickle takes more than it holds")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        items = []
        while self.stack:
            item = self.stack.pop()
            if item is _MARK:
                items.reverse()
                return items
            items.append(item)
        raise CheckpointFormatError("its pickle has no mark to go back to")

    def pairs(self) -> list[tuple[Any, Any]]:
        items = self.pop_to_mark()
        if len(items) % 2:
            raise CheckpointFormatError("a dictionary has a key without a value")
        return list(zip(items[::2], items[1::2], strict=True))

    def step(self, name: str, arg: Any) -> None:
        """One instruction; ``STOP`` is the caller's."""
        stack = self.stack
        if name in _PUSH_ARGUMENT:
            stack.append(arg)
        elif name in _PUSH_NEW:
            stack.append(_PUSH_NEW[name]())
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[_hashed(arg)] = self.top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if arg not in self.memo:
                raise CheckpointFormatError("its pickle recalls what it never kept")
            stack.append(self.memo[arg])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            items = [self.pop() for _ in range(int(name[-1]))]
            stack.append(tuple(reversed(items)))
        elif name == "TUPLE":
            stack.append(tuple(self.pop_to_mark()))
        elif name == "LIST":
            stack.append(self.pop_to_mark())
        elif name == "DICT":
            stack.append(_ordered_dict(self.pairs()))
        elif name in ("EMPTY_SET", "FROZENSET"):
            if name == "FROZENSET":
                self.pop_to_mark()
            stack.append(Opaque("set"))
        elif name == "ADDITEMS":
            self.pop_to_mark()
            if not isinstance(self.top(), Opaque):
                raise CheckpointFormatError("an element is added to something that is no set")
        elif name == "APPEND":
            item = self.pop()
            _extend(self.top(), [item])
        elif name == "APPENDS":
            items = self.pop_to_mark()
            _extend(self.top(), items)
        elif name == "SETITEM":
            value, key = self.pop(), self.pop()
            _set(self.top(), key, value)
        elif name == "SETITEMS":
            pairs = self.pairs()
            for key, value in pairs:
                _set(self.top(), key, value)
        elif name == "GLOBAL":
            module, _, attribute = arg.partition(" ")
            stack.append(Global(module, attribute))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            if type(module) is not str or type(attribute) is not str:
                raise CheckpointFormatError("a global has no name")
            stack.append(Global(module, attribute))
        elif name in ("REDUCE", "NEWOBJ"):
            args, function = self.pop(), self.pop()
            stack.append(_call(function, args))
        elif name == "NEWOBJ_EX":
            _, args, function = self.pop(), self.pop(), self.pop()
            stack.append(_call(function, args))
        elif name == "BUILD":
            self.pop()
            _build(self.top())
        elif name == "BINPERSID":
            storage = _storage(self.pop())
            whole = storage._replace(offset=0)
            if self.storages.setdefault(storage.key, whole) != whole:
                raise CheckpointFormatError(f"storage {storage.key!r} is described in two ways")
            stack.append(storage)
        elif name == "POP":
            if not stack:
                raise CheckpointFormatError("its pickle takes more than it holds")
            stack.pop()
        elif name == "POP_MARK":
            self.pop_to_mark()
        elif name == "DUP":
            stack.append(self.top())
        else:
            raise CheckpointFormatError(f"its pickle uses the instruction {name}")


_PUSH_ARGUMENT = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)
_PUSH_NEW = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}


def follow(stream: Any, storages: dict[str, StorageRef] | None = None) -> Any:
    """Follows one pickle and returns the plain value it describes.

    Args:
      stream: an object with ``read``, ``readline`` and ``tell`` whose ``read(n)`` never
        allocates more than what is left (``mmap``, ``BytesIO``); left behind the pickle's end.
      storages: filled with every storage the pickle mentions, by key.

    Returns:
      Dictionaries, lists, tuples, numbers and strings, ``Global``, ``Opaque``, ``StorageRef``
      and ``TensorRef``. Containers may hold themselves: walk them with care.

    Raises:
      CheckpointFormatError: the pickle is damaged or does what no checkpoint needs.
    """
    machine = _Machine({} if storages is None else storages)
    instructions = pickletools.genops(stream)
    for _ in range(MAX_INSTRUCTIONS):
        try:
            opcode, arg, _position = next(instructions)
        except Exception as error:  # the disassembler answers damage with many kinds of errors
            raise CheckpointFormatError(f"its pickle is damaged ({error})") from None
        if opcode.name == "STOP":
            result = machine.pop()
            if machine.stack:
                raise CheckpointFormatError("its pickle ends with values left over")
            return result
        machine.step(opcode.name, arg)
    raise CheckpointFormatError("its pickle is longer than any checkpoint's")
