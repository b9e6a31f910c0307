"""Reading pickles that may be hostile: a machine that knows containers, and calls only what the caller names.

What a pickle can ask for is decided by `find_global`: plain values, and `Builder`s, the only things that are called.
Sizes are checked against what is left of the file before anything is allocated, and nothing recurses.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any

_MAX_KEY_DEPTH = 8  # tuples in tuples as a key: hashing them recurses
_MAX_TEXT_NUMBER = 4000  # digits


class UnsafeFileError(RuntimeError, pickle.UnpicklingError):
    """A file asks for something that would not be safe to do, or that pynn has not. PyTorch raises UnpicklingError."""


class Builder:
    """What a global stands for: `make(*args)`, and `set_state(made, state)` if a state may follow."""

    __slots__ = ("kind", "make", "name", "set_state")
    kind: Any  # the class, where the user has named it

    def __init__(
        self, name: str, make: Callable[..., Any], set_state: Callable[[Any, Any], None] | None = None
    ) -> None:
        self.name, self.make, self.set_state = name, make, set_state

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Source:
    """Bytes of a file object from where it stands; `left` is how many there are."""

    def __init__(self, f: IO[bytes]) -> None:
        self._file = f
        here = f.tell()
        self.left = f.seek(0, os.SEEK_END) - here
        f.seek(here)

    def read(self, n: int) -> bytes:
        if n > self.left:
            raise EOFError(f"{n} bytes required, got {self.left}")
        data = self._file.read(n)
        if len(data) != n:
            raise EOFError(f"{n} bytes required, got {len(data)}")
        self.left -= n
        return data

    def readinto(self, view: memoryview) -> None:
        if view.nbytes > self.left:
            raise EOFError(f"{view.nbytes} bytes required, got {self.left}")
        self.left -= view.nbytes
        while view.nbytes:
            n = self._file.readinto(view)  # type: ignore[attr-defined]
            if not n:
                raise EOFError("the file ended early")
            view = view[n:]

    def readline(self) -> bytes:
        line = self._file.readline(min(self.left, 1 << 20))
        if not line.endswith(b"\n"):
            raise EOFError("a line that ends is required")
        self.left -= len(line)
        return line[:-1]


_OPS: dict[int, Callable[[Unpickler], None]] = {}


def _op(code: bytes) -> Callable[[Callable[[Unpickler], None]], Callable[[Unpickler], None]]:
    def register(function: Callable[[Unpickler], None]) -> Callable[[Unpickler], None]:
        _OPS[code[0]] = function
        return function

    return register


class Unpickler:
    """One pickle from a source.

    Args:
        find_global: from (module, name) to a value or Builder; raises for what is refused.
        persistent_load: from a persistent id to its object.
        encoding: of the byte strings of Python 2; "bytes" leaves them.

    Raises:
        UnsafeFileError: something that is not allowed.
        EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError: the pickle is broken.
    """

    def __init__(
        self,
        source: Source,
        find_global: Callable[[str, str], Any],
        persistent_load: Callable[[Any], Any] | None = None,
        encoding: str = "utf-8",
    ) -> None:
        self.source = source
        self.find_global = find_global
        self.persistent_load = persistent_load
        self.encoding = encoding
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.built: dict[int, tuple[Any, Builder]] = {}  # id -> what a Builder made, kept so that ids stay
        self.done = False

    def load(self) -> Any:
        read, ops = self.source.read, _OPS
        while not self.done:
            code = read(1)[0]
            step = ops.get(code)
            if step is None:
                raise UnsafeFileError(f"load: pickle opcode {bytes([code])!r} is not allowed")
            step(self)
        if self.marks or len(self.stack) != 1:
            raise ValueError("the pickle ends with a stack that is not one object")
        return self.stack.pop()

    def number(self, n: int, signed: bool = False) -> int:
        return int.from_bytes(self.source.read(n), "little", signed=signed)

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def text(self, n: int) -> None:
        self.stack.append(self.source.read(n).decode("utf-8", "surrogatepass"))

    def old_text(self, data: bytes) -> None:
        self.stack.append(data if self.encoding == "bytes" else data.decode(self.encoding))

    def top(self, kinds: tuple[type, ...]) -> Any:
        target = self.stack[-1]
        if type(target) not in kinds and id(target) not in self.built:
            raise UnsafeFileError(f"load: {kinds[0].__name__} required, got {type(target).__name__}")
        return target

    def set_items(self, items: list[Any]) -> None:
        target = self.top((dict, OrderedDict))
        if len(items) % 2:
            raise ValueError("an odd number of keys and values")
        for key, value in zip(items[::2], items[1::2], strict=True):
            check_key(key)
            target[key] = value

    def call(self, function: Any, args: Any, kwargs: dict[str, Any] | None = None) -> None:
        if not isinstance(function, Builder):
            raise UnsafeFileError(f"load: refused to call a {type(function).__name__}")
        if type(args) is not tuple:
            raise TypeError(f"arguments of {function.name} must be a tuple")
        made = function.make(*args, **(kwargs or {}))
        if function.set_state is not None:
            self.built[id(made)] = (made, function)
        self.stack.append(made)


def check_key(key: Any) -> None:
    """Refuse keys that are not plain values: hashing anything else may recurse or run code."""
    level = [key]
    for _ in range(_MAX_KEY_DEPTH):
        level = [item for part in level if type(part) is tuple for item in part]
        if not level:
            break
        if len(level) > 10_000:
            raise UnsafeFileError("load: a key is too large")
    else:
        raise UnsafeFileError(f"load: a key of at most {_MAX_KEY_DEPTH} nested tuples is required")
    hash(key)


@_op(pickle.PROTO)
def _proto(m: Unpickler) -> None:
    if m.number(1) > pickle.HIGHEST_PROTOCOL:
        raise ValueError("an unknown pickle protocol")


@_op(pickle.FRAME)
def _frame(m: Unpickler) -> None:
    m.number(8)


@_op(pickle.STOP)
def _stop(m: Unpickler) -> None:
    m.done = True


@_op(pickle.MARK)
def _mark(m: Unpickler) -> None:
    m.marks.append(m.stack)
    m.stack = []


@_op(pickle.POP)
def _pop(m: Unpickler) -> None:
    m.stack.pop()


@_op(pickle.POP_MARK)
def _pop_to_mark(m: Unpickler) -> None:
    m.pop_mark()


@_op(pickle.DUP)
def _dup(m: Unpickler) -> None:
    m.stack.append(m.stack[-1])


def _constant(code: bytes, value: Any) -> None:
    _OPS[code[0]] = lambda m: m.stack.append(value)


_constant(pickle.NONE, None)
_constant(pickle.NEWTRUE, True)
_constant(pickle.NEWFALSE, False)
_constant(pickle.EMPTY_TUPLE, ())


def _fresh(code: bytes, make: Callable[[], Any]) -> None:
    _OPS[code[0]] = lambda m: m.stack.append(make())


_fresh(pickle.EMPTY_LIST, list)
_fresh(pickle.EMPTY_DICT, dict)
_fresh(pickle.EMPTY_SET, set)


def _integer(code: bytes, n: int, signed: bool = False) -> None:
    _OPS[code[0]] = lambda m: m.stack.append(m.number(n, signed))


_integer(pickle.BININT, 4, signed=True)
_integer(pickle.BININT1, 1)
_integer(pickle.BININT2, 2)


def _sized(code: bytes, width: int, put: Callable[[Unpickler, int], None]) -> None:
    _OPS[code[0]] = lambda m: put(m, m.number(width))


def _put_bytes(m: Unpickler, n: int) -> None:
    m.stack.append(m.source.read(n))


def _put_bytearray(m: Unpickler, n: int) -> None:
    m.stack.append(bytearray(m.source.read(n)))


def _put_long(m: Unpickler, n: int) -> None:
    m.stack.append(m.number(n, signed=True))


def _put_old(m: Unpickler, n: int) -> None:
    m.old_text(m.source.read(n))


_sized(pickle.SHORT_BINUNICODE, 1, Unpickler.text)
_sized(pickle.BINUNICODE, 4, Unpickler.text)
_sized(pickle.BINUNICODE8, 8, Unpickler.text)
_sized(pickle.SHORT_BINBYTES, 1, _put_bytes)
_sized(pickle.BINBYTES, 4, _put_bytes)
_sized(pickle.BINBYTES8, 8, _put_bytes)
_sized(pickle.BYTEARRAY8, 8, _put_bytearray)
_sized(pickle.SHORT_BINSTRING, 1, _put_old)
_sized(pickle.BINSTRING, 4, _put_old)
_sized(pickle.LONG1, 1, _put_long)
_sized(pickle.LONG4, 4, _put_long)


@_op(pickle.BINFLOAT)
def _float(m: Unpickler) -> None:
    m.stack.append(struct.unpack(">d", m.source.read(8))[0])


@_op(pickle.INT)
def _text_int(m: Unpickler) -> None:
    line = m.source.readline()
    if line in (b"00", b"01"):
        m.stack.append(line == b"01")
    else:
        m.stack.append(_parsed(line))


@_op(pickle.LONG)
def _text_long(m: Unpickler) -> None:
    m.stack.append(_parsed(m.source.readline().removesuffix(b"L")))


def _parsed(line: bytes) -> int:
    if len(line) > _MAX_TEXT_NUMBER:
        raise ValueError("a number is too long")
    return int(line)


@_op(pickle.FLOAT)
def _text_float(m: Unpickler) -> None:
    m.stack.append(float(m.source.readline()[:_MAX_TEXT_NUMBER]))


@_op(pickle.UNICODE)
def _text_unicode(m: Unpickler) -> None:
    m.stack.append(m.source.readline().decode("raw-unicode-escape"))


@_op(pickle.STRING)
def _text_string(m: Unpickler) -> None:
    line = m.source.readline()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a quoted string is required")
    import codecs

    m.old_text(codecs.escape_decode(line[1:-1])[0])  # type: ignore[attr-defined]


@_op(pickle.TUPLE)
def _tuple(m: Unpickler) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _short_tuple(code: bytes, n: int) -> None:
    def step(m: Unpickler) -> None:
        if len(m.stack) < n:
            raise IndexError("the stack is too short")
        m.stack[-n:] = [tuple(m.stack[-n:])]

    _OPS[code[0]] = step


_short_tuple(pickle.TUPLE1, 1)
_short_tuple(pickle.TUPLE2, 2)
_short_tuple(pickle.TUPLE3, 3)


@_op(pickle.LIST)
def _list(m: Unpickler) -> None:
    items = m.pop_mark()
    m.stack.append(items)


@_op(pickle.DICT)
def _dict(m: Unpickler) -> None:
    items = m.pop_mark()
    m.stack.append({})
    m.set_items(items)


@_op(pickle.FROZENSET)
def _frozenset(m: Unpickler) -> None:
    items = m.pop_mark()
    for item in items:
        check_key(item)
    m.stack.append(frozenset(items))


@_op(pickle.APPEND)
def _append(m: Unpickler) -> None:
    item = m.stack.pop()
    m.top((list,)).append(item)


@_op(pickle.APPENDS)
def _appends(m: Unpickler) -> None:
    items = m.pop_mark()
    m.top((list,)).extend(items)


@_op(pickle.ADDITEMS)
def _add_items(m: Unpickler) -> None:
    items = m.pop_mark()
    target = m.top((set,))
    for item in items:
        check_key(item)
        target.add(item)


@_op(pickle.SETITEM)
def _set_item(m: Unpickler) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.set_items([key, value])


@_op(pickle.SETITEMS)
def _set_many(m: Unpickler) -> None:
    items = m.pop_mark()
    m.set_items(items)


@_op(pickle.PUT)
def _put(m: Unpickler) -> None:
    m.memo[_parsed(m.source.readline())] = m.stack[-1]


@_op(pickle.BINPUT)
def _put1(m: Unpickler) -> None:
    m.memo[m.number(1)] = m.stack[-1]


@_op(pickle.LONG_BINPUT)
def _put4(m: Unpickler) -> None:
    m.memo[m.number(4)] = m.stack[-1]


@_op(pickle.MEMOIZE)
def _memoize(m: Unpickler) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


@_op(pickle.GET)
def _get(m: Unpickler) -> None:
    m.stack.append(m.memo[_parsed(m.source.readline())])


@_op(pickle.BINGET)
def _get1(m: Unpickler) -> None:
    m.stack.append(m.memo[m.number(1)])


@_op(pickle.LONG_BINGET)
def _get4(m: Unpickler) -> None:
    m.stack.append(m.memo[m.number(4)])


@_op(pickle.GLOBAL)
def _global(m: Unpickler) -> None:
    module, name = m.source.readline(), m.source.readline()
    m.stack.append(m.find_global(module.decode(), name.decode()))


@_op(pickle.STACK_GLOBAL)
def _stack_global(m: Unpickler) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise TypeError("the name of a global must be a string")
    m.stack.append(m.find_global(module, name))


@_op(pickle.REDUCE)
def _reduce(m: Unpickler) -> None:
    args, function = m.stack.pop(), m.stack.pop()
    m.call(function, args)


@_op(pickle.NEWOBJ)
def _new_object(m: Unpickler) -> None:
    _reduce(m)


@_op(pickle.NEWOBJ_EX)
def _new_object_with_names(m: Unpickler) -> None:
    kwargs, args, function = m.stack.pop(), m.stack.pop(), m.stack.pop()
    if type(kwargs) is not dict or not all(type(key) is str for key in kwargs):
        raise TypeError("named arguments must be a dict")
    m.call(function, args, kwargs)


@_op(pickle.BUILD)
def _build(m: Unpickler) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    made = m.built.get(id(target))
    if made is None or made[1].set_state is None:
        raise UnsafeFileError(f"load: refused to set the state of {type(target).__name__}")
    made[1].set_state(target, state)


@_op(pickle.BINPERSID)
def _persistent(m: Unpickler) -> None:
    if m.persistent_load is None:
        raise UnsafeFileError("load: refused a persistent id")
    m.stack.append(m.persistent_load(m.stack.pop()))
