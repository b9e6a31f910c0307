"""Random and adversarial arguments: by the type a schema names, or anything at all."""

import contextlib
import math
import random
from typing import Any

import numpy as np

import pynn

DTYPES = [
    getattr(pynn, n) for n in "float32 float64 int64 bool float16 bfloat16 uint8 int8 int16 int32".split()
]
WEIGHTS = [8, 6, 4, 2, 2, 2, 2, 1, 1, 1]
COMPLEX = [pynn.complex64, pynn.complex128]
HUGE = [2**31, 2**32, 2**53, 2**61, 2**62, 2**63 - 1, -(2**63), 2**63, -(2**64), 2**100]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-45,
    1e-300,
    1e38,
    -1e39,
    1e308,
    math.inf,
    -math.inf,
    math.nan,
    2.0**63,
]
WORDS = [
    "mean",
    "sum",
    "none",
    "floor",
    "trunc",
    "tanh",
    "fro",
    "nuc",
    "reflect",
    "constant",
    "left",
    "xy",
    "ij",
]
EQUATIONS = [
    "ij->ji",
    "ij,jk->ik",
    "i,i->",
    "...i,...i->...",
    "ii->i",
    "ii",
    "ij,ij",
    "i,j->ij",
    "abc,cd",
    "->",
    "",
]
TEXTS = ["", "\0", "\ud800", "cpu:99", "cuda:0", "->,->", "i" * 60, "....", "ij->jj", "é", "%s%n"]
DEVICES = ["cpu", "meta", "cpu:0", "cuda", "nowhere", ""]


class Sub(pynn.Tensor):
    """A subclass without any behaviour of its own."""


class Hostile:
    """Raises whenever it is asked something."""

    def _no(self, *args: Any) -> Any:
        raise ZeroDivisionError("hostile")

    __index__ = __float__ = __len__ = __iter__ = __getitem__ = __bool__ = __eq__ = _no
    __hash__ = None  # type: ignore[assignment]


class Emptying:
    """Empties the list it stands in while it is read."""

    def __init__(self, owner: list) -> None:
        self.owner = owner

    def __index__(self) -> int:
        self.owner.clear()
        return 1

    __float__ = __index__  # type: ignore[assignment]


class Maker:
    """Arguments of one call. They share a shape, so that many calls succeed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.tensors: list[pynn.Tensor] = []
        self.shape = self._shape()
        self.dtype = rng.choices(DTYPES + COMPLEX, [*WEIGHTS, 2, 1])[0]
        self.calm = rng.random() < 0.6  # no absurd value in this call: most reach the kernels

    def odd(self, chance: float) -> bool:
        return not self.calm and self.rng.random() < chance

    def _shape(self) -> tuple[int, ...]:
        r = self.rng
        if r.random() < 0.04:
            return r.choice(
                [(40000,), (300, 170), (2, 70, 300), (1, 65537)]
            )  # beyond the size that gives up the GIL
        if r.random() < 0.5:
            n = r.randint(1, 5)
            return r.choice([(n, n), (2, n, n), (n,), (n, n, n)])
        return tuple(
            r.choice([0, 1, 1, 2, 3, 4, 5, 7, 17]) for _ in range(r.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5]))
        )

    def _near(self) -> tuple[int, ...]:
        """The call's shape, or one that goes with it."""
        r, s = self.rng, self.shape
        k = r.random()
        if k < 0.55:
            return s
        if k < 0.65:
            return tuple(1 if r.random() < 0.5 else n for n in s)
        if k < 0.72:
            return s[r.randint(0, len(s)) :]
        if k < 0.78:
            return s[::-1]
        if k < 0.84:
            return s[: r.randint(0, len(s))]
        return self._shape() if k < 0.95 else ()

    def tensor(self, hint: str = "") -> pynn.Tensor:
        r = self.rng
        if self.tensors and r.random() < 0.2:
            t = r.choice(self.tensors)
            if r.random() < 0.5:
                with contextlib.suppress(Exception):
                    t = self._view(t)
        else:
            t = self._fresh(hint)
        self.tensors.append(t)
        return t

    def _fresh(self, hint: str) -> pynn.Tensor:
        r, shape = self.rng, self._near()
        if hint in ("index", "indices", "target", "mask", "condition") and r.random() < 0.85:
            if hint in ("mask", "condition"):
                return pynn.tensor(np.array(r.choices([False, True], k=math.prod(shape))).reshape(shape))
            top = max(self.shape, default=1) if r.random() < 0.2 else max(1, min(self.shape, default=1))
            low = -3 if self.odd(0.3) else 0
            values = np.array([r.randint(low, max(0, top - 1)) for _ in range(math.prod(shape))], np.int64)
            if len(values) and self.odd(0.2):
                values[r.randrange(len(values))] = r.choice([2**62, -(2**63), 10**6, -1])
            return pynn.from_numpy(values.reshape(shape))
        dtype = self.dtype if r.random() < 0.8 else r.choices(DTYPES, WEIGHTS)[0]
        if r.random() < 0.03:
            dtype = r.choice(COMPLEX)
        if r.random() < 0.03:
            return pynn.empty(shape, dtype=dtype, device="meta")
        t = self._filled(shape, dtype)
        if r.random() < 0.4:
            t = self._view(t)
        if (t.is_floating_point() or t.is_complex()) and r.random() < 0.3:
            t = t.detach().requires_grad_()
            if r.random() < 0.2:
                t = t * 1  # no leaf
        k = r.random()
        if k < 0.03:
            return t.as_subclass(Sub)
        if k < 0.05 and t.is_floating_point():
            return pynn.nn.Parameter(t.detach())
        if k < 0.06:
            with pynn.inference_mode():
                return t.clone()
        return t

    def _filled(self, shape: tuple[int, ...], dtype: pynn.dtype) -> pynn.Tensor:
        r = self.rng
        seed = np.random.default_rng(r.randrange(2**32))
        a = seed.standard_normal(shape) * 3
        if self.odd(0.4) and a.size:
            flat = np.array(a).reshape(-1)
            for _ in range(3):
                flat[r.randrange(flat.size)] = r.choice(FLOATS)
            a = flat.reshape(shape)
        t = pynn.from_numpy(np.ascontiguousarray(a).reshape(shape))
        if not dtype.is_floating_point and not dtype.is_complex and self.odd(0.3):
            bound = 2 ** (8 * dtype.itemsize - 1)
            whole = np.array(
                [r.choice([-bound, bound - 1, 0, -1]) for _ in range(math.prod(shape))], np.int64
            )
            t = pynn.from_numpy(whole.reshape(shape))
        return t.to(dtype)

    def _view(self, t: pynn.Tensor) -> pynn.Tensor:
        r, n = self.rng, t.dim()
        k = r.randrange(8)
        if k == 0 and n >= 2:
            a, b = r.sample(range(n), 2)
            return t.transpose(a, b)
        if k == 1 and n:
            return t[r.choice([slice(1, None), slice(None, None, 2), slice(0, 0), slice(None, -1)])]
        if k == 2 and n:
            return t[:1].expand(t.shape) if t.shape[0] else t
        if k == 3 and t.numel() >= 4:
            return t.reshape(-1).as_strided((3, 2), (1, 1))  # overlaps itself
        if k == 4:
            wide = pynn.zeros([2 * s + 1 for s in t.shape], dtype=t.dtype)
            wide = wide[tuple(slice(1, None, 2) for _ in t.shape)] if n else wide
            return wide.copy_(t)
        if k == 5:
            return t.unsqueeze(r.randint(-n - 1, n))
        if k == 6 and n:
            return t.select(0, 0) if t.shape[0] else t
        return t.detach()

    def int(self, name: str = "") -> Any:
        r = self.rng
        if name.startswith(("dim", "axis")) and not self.odd(0.2):
            n = max(1, len(self.shape))
            return r.randint(-n, n - 1)
        if self.odd(0.2):
            return r.choice([*HUGE, True, np.int32(2), pynn.tensor(1), 10**6, 2**20])
        return r.choice([0, 0, 1, 1, 2, 3, -1, -2, -3, 4, 5])

    def ints(self) -> Any:
        r = self.rng
        if r.random() < 0.3:
            sizes: list = list(self._near())
        else:
            sizes = [self.int() for _ in range(r.choice([0, 1, 1, 2, 2, 3, 4, 6]))]
        if self.odd(0.03):
            sizes.insert(0, Emptying(sizes))
            return sizes
        return r.choice([list, tuple])(sizes)

    def number(self) -> Any:
        r = self.rng
        if self.odd(0.3):
            return r.choice([*FLOATS, *HUGE, True, np.float32(2), np.int8(3), 1j, pynn.tensor(2.0)])
        return r.choice([0, 1, 2, -1, 0.5, -1.5, 3, 1.0, 2.0, *([2j] if self.dtype.is_complex else [])])

    def indexing(self) -> Any:
        """What may stand in brackets."""
        r = self.rng

        def one() -> Any:
            k = r.randrange(9)
            if k <= 1:
                return self.int()
            if k <= 3:
                bounds = [r.choice([None, self.int()]) for _ in range(2)]
                return slice(*bounds, r.choice([None, 1, 2, *([self.int()] if not self.calm else [])]))
            if k == 4:
                return r.choice([None, Ellipsis, True, False])
            if k == 5:
                return [r.randint(-2, 2) for _ in range(r.randint(0, 3))]
            if k == 6:
                return self.tensor("index")
            return self.tensor("mask") if k == 7 else np.array([0, 1])

        return one() if r.random() < 0.4 else tuple(one() for _ in range(r.randint(0, 4)))

    def anything(self) -> Any:
        """An argument of no type in particular."""
        r = self.rng
        k = r.randrange(16)
        if k < 4:
            return self.tensor()
        if k == 4:
            return self.ints()
        if k == 5:
            return self.int()
        if k == 6:
            return self.number()
        if k == 7:
            return [self.tensor() for _ in range(r.randint(0, 3))]
        if k == 8:
            return r.choice(
                [pynn.float32, pynn.int64, pynn.complex64, float, bool, "meta", pynn.device("cpu")]
            )
        if k == 9:
            return np.zeros(
                self.shape, r.choice(["f4", "f8", "i8", "?", "U3", "O", "M8[s]", ">f4", "c8", "u4"])
            )
        if k == 10:
            return r.choice(
                [None, (), [], {}, b"abc", bytearray(8), object(), Hostile(), print, type, Ellipsis, 1j]
            )
        if k == 11:
            return r.choice(WORDS + TEXTS)
        if k == 12:
            nested: list = [[1.0, 2], [3, r.choice([None, "x", Hostile(), [1], 4, self.tensor()])]]
            return nested
        if k == 13:
            return self.indexing()
        if k == 14:
            return (x for x in (1, 2))
        return r.choice([True, False, pynn.Generator(), pynn.Size([2]), range(3), lambda *a: None])

    def named(self, name: str) -> Any:
        """An argument for a parameter of which only the name is known."""
        if name.startswith(("dim", "axis", "n")):
            return self.int(name)
        if name.startswith(("size", "shape", "pad", "kernel", "normalized")):
            return list(self.shape)
        if name in (
            "p",
            "alpha",
            "eps",
            "value",
            "threshold",
            "weight",
            "margin",
            "lower",
            "upper",
            "min",
            "max",
        ):
            return self.number() if self.rng.random() < 0.7 else self.tensor()
        return self.anything() if self.odd(0.2) else self.tensor(name)

    def of(self, type_: str, name: str) -> Any:
        """An argument for a parameter of a schema."""
        r = self.rng
        if self.odd(0.06):
            return self.anything()
        if type_.endswith("?"):
            if r.random() < 0.4:
                return None
            type_ = type_[:-1]
        if type_ == "Tensor":
            return self.tensor(name)
        if type_ == "Tensor[]":
            return r.choice([list, tuple])(self.tensor() for _ in range(r.choice([0, 1, 2, 2, 3])))
        if type_ == "Other":
            return self.tensor(name) if r.random() < 0.7 else self.number()
        if type_ == "int":
            return self.int(name)
        if type_ in ("int[]", "int..."):
            return [self.int(name)] if name.startswith("dim") and self.calm else self.ints()
        if type_ in ("float", "Scalar"):
            return self.number()
        if type_ == "bool":
            return r.choice([True, False])
        if type_ == "str":
            return r.choice(
                (EQUATIONS if name == "equation" else WORDS) if self.calm else WORDS + EQUATIONS + TEXTS
            )
        if type_ == "dtype":
            return r.choice(DTYPES + ([*COMPLEX, float, int] if not self.calm else []))
        if type_ == "device":
            return r.choice(DEVICES[:2] if self.calm else DEVICES)
        return pynn.Generator() if type_ == "Generator" else self.anything()
