"""Every op against torch: values, dtype and shape in each form, dtype and layout; where torch raises, its class.

A form is a function of (lib, x, *rest); operands are described once and built for both libraries. What differs is
collected, so that a failure shows all of it.
"""

import itertools
import operator

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch")

LIBS = (torch, pynn)
INTS = ("uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = ("bool", *INTS, *FLOATS)
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-5, "float64": 1e-12}


class Operand:
    """An array, its dtype, and how it lies in memory."""

    def __init__(self, values, dtype, layout="plain"):
        self.values, self.dtype, self.layout = np.asarray(values), dtype, layout

    def __repr__(self):
        shape = "x".join(map(str, self.values.shape))
        return f"{self.dtype}[{shape}]" + (f" {self.layout}" if self.layout != "plain" else "")

    def build(self, lib):
        dtype = getattr(lib, self.dtype)
        base = self.values
        if self.layout == "transposed":
            base = base.T
        elif self.layout == "sliced":
            base = np.repeat(base, 2, axis=-1)
        elif self.layout == "expanded":
            base = base[:1]
        t = lib.tensor(base.tolist(), dtype=lib.float64 if base.dtype.kind == "f" else None)
        t = t.reshape(base.shape).to(dtype)
        if self.layout == "transposed":
            return t.permute(*range(t.dim())[::-1]) if t.dim() else t
        if self.layout == "sliced":
            return t[..., ::2]
        if self.layout == "expanded":
            return t.expand(self.values.shape)
        return t


def data(dtype, *shape, seed=0, special=True):
    """Small numbers with ties; floats with NaN, infinities and both zeros."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return Operand(rng.integers(0, 2, shape).astype(bool), dtype)
    if dtype in INTS:
        return Operand(rng.integers(0 if dtype == "uint8" else -9, 10, shape), dtype)
    values = np.round(rng.normal(0, 2, shape), 1)
    if special and values.size > 5:
        flat = values.reshape(-1)
        flat[:5] = rng.permutation([np.nan, np.inf, -np.inf, 0.0, -0.0])
    return Operand(values, dtype)


def build(lib, args):
    if isinstance(args, Operand):
        return args.build(lib)
    if isinstance(args, (list, tuple)):
        return type(args)(build(lib, a) for a in args)
    if isinstance(args, dict):
        return {k: build(lib, a) for k, a in args.items()}
    return args


def outcome(lib, form, args, kwargs):
    try:
        return form(lib, *build(lib, args), **build(lib, kwargs))
    except Exception as error:
        return error


def tensors_of(result):
    if isinstance(result, (torch.Tensor, pynn.Tensor)):
        return [result]
    if isinstance(result, (tuple, list)):
        return [t for r in result for t in tensors_of(r)]
    return [result]


def array(t):
    if not isinstance(t, (torch.Tensor, pynn.Tensor)):
        return np.asarray(t)
    t = t.detach()
    return (t.double() if t.is_floating_point() else t).numpy()


def name_of(dtype):
    return str(dtype).split(".")[1]


def difference(expected, found, tol):
    """None, or in words how found differs."""
    if isinstance(expected, Exception):
        if isinstance(found, Exception):
            kinds = type(expected), type(found)
            return (
                None if issubclass(kinds[1], kinds[0]) else f"raises {kinds[1].__name__}, torch {expected!r}"
            )
        return f"no error, torch {expected!r}"
    if isinstance(found, Exception):
        return f"raises {found!r}, torch gives {expected}"
    want, got = tensors_of(expected), tensors_of(found)
    if len(want) != len(got):
        return f"{len(got)} results, torch {len(want)}"
    for w, g in zip(want, got, strict=True):
        if isinstance(w, torch.Tensor) != isinstance(g, pynn.Tensor):
            return f"{type(g)}, torch {type(w)}"
        name = name_of(w.dtype) if isinstance(w, torch.Tensor) else "float64"
        if isinstance(w, torch.Tensor):
            if name_of(g.dtype) != name:
                return f"{g.dtype}, torch {w.dtype}"
            if tuple(w.shape) != tuple(g.shape):
                return f"shape {tuple(g.shape)}, torch {tuple(w.shape)}"
        a, b = array(w), array(g)
        rtol = TOLERANCE.get(name, 0) * tol
        with np.errstate(all="ignore"):
            same = np.allclose(b, a, rtol=rtol, atol=rtol, equal_nan=True) if rtol else np.array_equal(a, b)
        if not same:
            return f"{b.tolist()}, torch {a.tolist()}"
    return None


class Comparison:
    def __init__(self, tol=1.0):
        self.tol, self.found = tol, []

    def __call__(self, where, form, args, kwargs=None):
        kwargs = kwargs or {}
        expected, found = (outcome(lib, form, args, kwargs) for lib in LIBS)
        text = difference(expected, found, self.tol)
        if text:
            self.found.append(f"{where} {args} {kwargs or ''}: {text}"[:400])

    def out(self, name, to, args, kwargs=None):
        """The out= form. Which dtypes torch takes there differs from op to op (docs/coming-from-pytorch.md): only where
        it takes this one is the result compared, as exactly as the form without out= promises."""
        kwargs = kwargs or {}
        form = out_form(name, to)
        plain = outcome(torch, lambda lib, *a, **k: getattr(lib, name)(*a, **k), args, kwargs)
        expected, found = (outcome(lib, form, args, kwargs) for lib in LIBS)
        if isinstance(expected, Exception) and not isinstance(plain, Exception):
            return
        tol = self.tol
        if isinstance(plain, torch.Tensor):
            if not torch.can_cast(plain.dtype, getattr(torch, to)):
                return
            coarse, fine = (TOLERANCE.get(name_of(t), 1e-12) for t in (plain.dtype, getattr(torch, to)))
            tol *= max(1, coarse / fine)
        text = difference(expected, found, tol)
        if text:
            self.found.append(f"{name} out={to} {args} {kwargs or ''}: {text}"[:400])

    def done(self):
        assert not self.found, f"{len(self.found)} differences:\n" + "\n".join(self.found[:40])


def forms(name):
    """The forms of a function that torch has, by name."""
    out = {"": lambda lib, *a, **k: getattr(lib, name)(*a, **k)}
    if hasattr(torch.Tensor, name):
        out["method"] = lambda lib, x, *a, **k: getattr(x, name)(*a, **k)
    if hasattr(torch.Tensor, name + "_"):
        out["in place"] = lambda lib, x, *a, **k: getattr(x, name + "_")(*a, **k)
    return out


def out_form(name, dtype):
    def form(lib, *args, **kwargs):
        out = lib.zeros(0, dtype=getattr(lib, dtype))
        result = getattr(lib, name)(*args, out=out, **kwargs)
        assert result is out
        return out

    return form


SHAPES = (
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (3, 4)),
    ((3, 4), ()),
    ((), ()),
    ((0, 4), (4,)),
)
SCALARS = (True, False, 2, -3, 0, 2.5, -1.5, float("nan"), float("inf"))
LAYOUTS = ("transposed", "sliced", "expanded")


# -- two operands ---------------------------------------------------------------------------------------------------

BINARY = (
    "add sub mul div true_divide floor_divide remainder fmod pow maximum minimum atan2 eq ne lt le gt ge logical_and "
    "logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift rsub"
).split()


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    check = Comparison(tol=4)
    shift = "shift" in name
    for a, b in itertools.product(DTYPES, DTYPES):
        for k, (s, t) in enumerate(SHAPES):
            x, y = data(a, *s, seed=k), data(b, *t, seed=k + 50)
            if name in ("floor_divide", "remainder", "fmod") and b not in FLOATS:
                y.values = np.where(y.values == 0, 1, y.values)  # no integer division by zero
            if name == "pow" and b in INTS or shift:
                y.values = np.abs(y.values) % 7
            for form, f in forms(name).items():
                check(f"{name} {form}", f, (x, y))
            if k == 0 and name != "rsub":
                for to in DTYPES:
                    check.out(name, to, (x, y))
    for a, s in itertools.product(DTYPES, SCALARS):
        for k, shape in enumerate(((3, 4), (), (0,))):
            x = data(a, *shape, seed=k)
            if shift and not isinstance(s, float) and s < 0:
                continue
            for form, f in forms(name).items():
                check(f"{name} {form}", f, (x, s))
            if name == "pow":
                check("pow of a number", lambda lib, x, s: lib.pow(s, x), (x, s))
    for layouts in itertools.product(("plain", *LAYOUTS), repeat=2):
        for dtype in ("float32", "int32", "bool"):
            x, y = data(dtype, 3, 4), data(dtype, 3, 4, seed=1)
            y.values = y.values if dtype != "int32" else np.abs(y.values) % 5 + 1
            x.layout, y.layout = layouts
            for form, f in forms(name).items():
                check(f"{name} {form}", f, (x, y))
    check.done()


OPERATORS = "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift eq ne lt le gt ge".split()


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    check = Comparison(tol=4)
    op = getattr(operator, name)
    inplace = getattr(operator, "i" + name.strip("_"), None)
    for a in DTYPES:
        for s in SCALARS:
            if "shift" in name and not isinstance(s, float) and s < 0:
                continue
            x = data(a, 3, 4, seed=2)
            if name in ("floordiv", "mod") and a not in FLOATS:
                x.values = np.where(x.values == 0, 1, x.values)
            check(name, lambda lib, x, s: op(x, s), (x, s))
            if inplace:
                check("i" + name, lambda lib, x, s: inplace(x, s), (x, s))
            if name == "pow" or "shift" in name:
                x.values = np.abs(x.values) if a in INTS else x.values
            check("r" + name, lambda lib, x, s: op(s, x), (x, s))
        for b in DTYPES:
            x, y = data(a, 3, 4), data(b, 4, seed=1)
            y.values = y.values if b in FLOATS else np.abs(y.values) % 7 + (b != "bool")
            if b == "bool":
                y.values = y.values.astype(bool) | (name in ("floordiv", "mod"))
            check(name, lambda lib, x, y: op(x, y), (x, y))
            if inplace:
                check("i" + name, lambda lib, x, y: inplace(x, y), (x, y))
    check.done()


@pytest.mark.parametrize("name", ["add", "sub", "rsub"])
def test_alpha(name):
    check = Comparison()
    for a, b in itertools.product(("bool", "uint8", "int64", "float32", "float64"), repeat=2):
        for alpha in (0, 1, 2, -1, 0.0, 0.5, True, False):
            for form, f in forms(name).items():
                check(f"{name} {form}", f, (data(a, 3, 4), data(b, 3, 4, seed=1)), {"alpha": alpha})
                check(f"{name} {form}", f, (data(a, 3, 4), 1), {"alpha": alpha})
                check(f"{name} {form}", f, (data(a, 3, 4), True), {"alpha": alpha})
    check.done()


# -- one operand ----------------------------------------------------------------------------------------------------

UNARY = (
    "abs neg sign sgn exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh "
    "tanh asinh acosh atanh erf erfc floor ceil round trunc frac square sigmoid relu positive logical_not bitwise_not "
    "isnan isinf isfinite nan_to_num"
).split()


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    check = Comparison(tol=4)
    for dtype in DTYPES:
        for k, shape in enumerate(((3, 4), (), (0,), (2, 0, 3), (70,))):
            for form, f in forms(name).items():
                check(f"{name} {form}", f, (data(dtype, *shape, seed=k),))
        if name not in ("relu", "positive", "isnan", "isinf", "isfinite"):
            for to in DTYPES:
                check.out(name, to, (data(dtype, 3, 4),))
    for layout in LAYOUTS:
        for dtype in ("float32", "float64", "int32"):
            x = data(dtype, 3, 4)
            x.layout = layout
            for form, f in forms(name).items():
                if (name, dtype, layout, form) != (
                    "nan_to_num",
                    "int32",
                    "expanded",
                    "in place",
                ):  # torch does nothing
                    check(f"{name} {form}", f, (x,))
    check.done()


ACTIVATIONS = {
    "softmax": ({"dim": 0}, {"dim": -1}, {"dim": 1, "dtype": "float64"}, {"dim": 7}),
    "log_softmax": ({"dim": 0}, {"dim": -1}, {"dim": 7}),
    "sigmoid": ({},),
    "tanh": ({},),
    "relu": ({}, {"inplace": True}),
    "gelu": ({}, {"approximate": "tanh"}, {"approximate": "x"}),
    "silu": ({}, {"inplace": True}),
    "leaky_relu": ({}, {"negative_slope": 0.3}, {"inplace": True}),
    "elu": ({}, {"alpha": 0.5}, {"inplace": True}),
    "softplus": ({}, {"beta": 2}, {"beta": 2.0, "threshold": 1}),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    check = Comparison(tol=4)

    def f(lib, x, **k):
        if "dtype" in k:
            k["dtype"] = getattr(lib, k["dtype"])
        return getattr(lib.nn.functional, name)(x, **k)

    for dtype, kwargs in itertools.product(DTYPES, ACTIVATIONS[name]):
        special = name not in ("softmax", "log_softmax", "gelu")
        for shape in ((3, 4), (), (0,), (2, 0, 3), (2, 3, 5)):
            if 0 in shape and dtype not in FLOATS:
                continue  # torch takes integers if there are none
            check(name, f, (data(dtype, *shape, special=special),), kwargs)
        for layout in LAYOUTS:
            x = data(dtype, 3, 4, special=special)
            x.layout = layout
            check(name, f, (x,), kwargs)
    check.done()


# -- three operands -------------------------------------------------------------------------------------------------


def test_where():
    check = Comparison()
    f = forms("where")[""]
    for a, b in itertools.product(DTYPES, DTYPES):
        for c in ("bool", "uint8", "int32", "float32"):
            check("where", f, (data(c, 3, 4), data(a, 3, 4), data(b, 4, seed=1)))
        check("where", f, (data("bool", 3, 4), data(a), data(b, 4, seed=1)))
        check("where method", lambda lib, x, c, y: x.where(c, y), (data(a, 3, 4), data("bool", 4), data(b)))
    for a, s in itertools.product(DTYPES, SCALARS):
        check("where", f, (data("bool", 3, 4), data(a, 3, 4), s))
        check("where", f, (data("bool", 3, 4), s, data(a, 4)))
        check("where", f, (data("bool"), s, data(a)))
    for s, t in itertools.product(SCALARS, SCALARS):
        check("where", f, (data("bool", 3, 4), s, t))
    check("where", f, (data("bool", 3, 4),))
    check("where", f, (data("bool", 3, 4), data("float32", 5), 1))
    check.done()


@pytest.mark.parametrize("name", ["clamp", "clip", "clamp_min", "clamp_max"])
def test_clamp(name):
    check = Comparison()
    bounds = (None, -1, 2, True, 0.5, -2.5, float("nan"))
    both = name in ("clamp", "clip")
    for form, f in forms(name).items():
        for a, low in itertools.product(DTYPES, bounds):
            for shape in ((3, 4), (), (0,)):
                for high in bounds if both else (None,):
                    check(
                        f"{name} {form}", f, (data(a, *shape), low, high) if both else (data(a, *shape), low)
                    )
        for a, b in itertools.product(DTYPES, DTYPES):
            for c in DTYPES if both else ("int8",):
                rest = (data(b, 3, 4, seed=1), data(c, 4, seed=2)) if both else (data(b, 4, seed=1),)
                check(f"{name} {form}", f, (data(a, 3, 4), *rest))
            check(f"{name} {form}", f, (data(a, 3, 4), data(b, seed=1)))
            if both:
                check(f"{name} {form}", f, (data(a, 3, 4), None, data(b, seed=1)))
    check.done()


@pytest.mark.parametrize("name", ["addcmul", "addcdiv", "lerp"])
def test_ternary(name):
    check = Comparison(tol=4)
    for form, f in forms(name).items():
        for a, b, c in itertools.product(DTYPES, DTYPES, DTYPES):
            x, y, z = data(a, 3, 4), data(b, 3, 1, seed=1), data(c, 4, seed=2)
            check(f"{name} {form}", f, (x, y, z))
        for a, s in itertools.product(DTYPES, SCALARS):
            x, y, z = (data(a, 3, 4, seed=k) for k in range(3))
            if name == "lerp":
                check(f"{name} {form}", f, (x, y, s))
                check(f"{name} {form}", f, (x, y, data(a)))
            else:
                check(f"{name} {form}", f, (x, y, z), {"value": s})
                check(f"{name} {form}", f, (x, data(a), data(a)), {"value": s})
        for layout in LAYOUTS:
            x, y, z = (data("float32", 3, 4, seed=k) for k in range(3))
            y.layout = layout
            check(f"{name} {form}", f, (x, y, z))
    check.done()


# -- reductions and scans -------------------------------------------------------------------------------------------

DIMS = ({}, {"dim": 0}, {"dim": -1}, {"dim": 1, "keepdim": True}, {"dim": 5})
MANY = (*DIMS, {"dim": (0, 1)}, {"dim": (0, -2)}, {"dim": ()}, {"dim": (-1,), "keepdim": True})
REDUCTIONS = {
    "sum": (*MANY, {"dtype": "float64"}, {"dtype": "int32"}, {"dim": 0, "dtype": "int16"}),
    "mean": (*MANY, {"dtype": "float64"}, {"dtype": "int64"}),
    "prod": (*DIMS, {"dtype": "float64"}, {"dim": 0, "dtype": "int32"}),
    "var": (*MANY, {"correction": 0}, {"dim": 0, "correction": 2}, {"unbiased": False}),
    "std": (*MANY, {"correction": 0}, {"dim": 0, "correction": 2}, {"unbiased": False}),
    "amax": MANY,
    "amin": MANY,
    "max": DIMS,
    "min": DIMS,
    "argmax": (*DIMS, {"keepdim": True}),
    "argmin": (*DIMS, {"keepdim": True}),
    "any": MANY,
    "all": MANY,
    "norm": (
        {},
        {"p": 1},
        {"p": 3, "dim": 0},
        {"p": float("inf")},
        {"p": 0, "dim": 1},
        {"dim": 1, "keepdim": True},
    ),
    "logsumexp": ({"dim": 0}, {"dim": (0, 1)}, {"dim": -1, "keepdim": True}, {"dim": 5}),
    "cumsum": (
        {"dim": 0},
        {"dim": -1},
        {"dim": 5},
        {"dim": 0, "dtype": "float64"},
        {"dim": 0, "dtype": "int32"},
    ),
    "cumprod": (
        {"dim": 0},
        {"dim": -1},
        {"dim": 5},
        {"dim": 0, "dtype": "float64"},
        {"dim": 0, "dtype": "int32"},
    ),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name):
    check = Comparison(tol=8)
    for form, f in forms(name).items():

        def call(lib, *args, f=f, dtype=None, **k):
            return f(lib, *args, **k, **({"dtype": getattr(lib, dtype)} if dtype else {}))

        for dtype, kwargs in itertools.product(DTYPES, REDUCTIONS[name]):
            for k, shape in enumerate(((3, 4), (), (0,), (2, 0), (2, 3, 5), (1,))):
                if dtype == "bool" and shape in ((), (0,), (2, 0)) and form == "in place":
                    continue  # bools that torch only takes where nothing is added
                for special in (True, False):
                    x = data(dtype, *shape, seed=k, special=special)
                    check(f"{name} {form}", call, (x,), kwargs)
            for layout in LAYOUTS:
                x = data(dtype, 3, 4)
                x.layout = layout
                check(f"{name} {form}", call, (x,), kwargs)
    for dtype, to in itertools.product(DTYPES, () if name in ("max", "min") else DTYPES):
        if name in ("any", "all") and to == "uint8":
            continue  # torch casts the input to uint8 first: all(0.5) is 0
        check.out(name, to, (data(dtype, 3, 4, special=False),), {"dim": 0})
    check.done()


# -- indexing -------------------------------------------------------------------------------------------------------


def index(high, *shape, seed=0, dtype="int64"):
    return Operand(np.random.default_rng(seed).integers(0, high, shape), dtype)


def test_gather_scatter():
    check = Comparison()
    for a, kind in itertools.product(DTYPES, ("int64", "int32", "uint8", "float32")):
        x = data(a, 3, 4)
        for dim in (0, 1, -1, 2):
            check("gather", forms("gather")[""], (x, dim, index(3, 2, 4, dtype=kind)))
            check("gather", forms("gather")["method"], (x, dim, index(9, 2, 4, dtype=kind)))
            check("gather", forms("gather")["method"], (x, dim, index(3, 2, dtype=kind)))
            for name, b in itertools.product(("scatter", "scatter_add"), (a, "float32")):
                for form, f in forms(name).items():
                    where = f"{name} {form}"
                    place = Operand(np.arange(6).reshape(2, 3) % 3, kind)
                    if name == "scatter":  # one writer for each place
                        place = Operand([[0, 1, 2], [2, 0, 1]], kind)
                        place = place if dim % 2 else Operand([[0, 1, 2], [1, 2, 0]], kind)
                    check(where, f, (x, dim, place, data(b, 2, 3, seed=1)))
                    check(where, f, (x, dim, place, data(b, 1, 3, seed=1)))
                    if name == "scatter":
                        check(where, f, (x, dim, place, 2))
                        check(where, f, (x, dim, place, 2.5))
    check("gather 0-d", forms("gather")[""], (data("float32"), 0, Operand(0, "int64")))
    check("gather 0-d", forms("gather")[""], (data("float32"), 0, Operand([0, 0], "int64")))
    check.done()


def test_index_ops():
    check = Comparison()
    for a, kind in itertools.product(DTYPES, ("int64", "int32", "uint8", "float32")):
        for shape, dim in itertools.product(((3, 4), (4,), (), (0, 3)), (0, 1, -1)):
            for n in (2, 0):
                where = index(3, n, dtype=kind)
                for form, f in forms("index_select").items():
                    check(f"index_select {form}", f, (data(a, *shape), dim, where))
                source = list(shape)
                if len(shape) > dim >= 0:
                    source[dim] = n
                for b in () if 0 in shape else (a, "float32") if shape else (a,):  # 0-d: one error at a time
                    for form, f in forms("index_add").items():
                        check(f"index_add {form}", f, (data(a, *shape), dim, where, data(b, *source, seed=1)))
        check(
            "index_add alpha", forms("index_add")[""], (data(a, 3), 0, index(3, 3), data(a, 3)), {"alpha": 2}
        )
        if a in FLOATS:
            check(
                "index_add alpha",
                forms("index_add")[""],
                (data(a, 3), 0, index(3, 3), data(a, 3)),
                {"alpha": 0.5},
            )
    check.done()


def test_masked():
    check = Comparison()
    for a, mask in itertools.product(DTYPES, ("bool", "uint8", "int32")):
        for shape in ((3, 4), (4,), (), (0, 4)):
            m = data(mask, *shape, seed=1)
            m.values = m.values % 2 if mask != "bool" else m.values
            for form, f in forms("masked_fill").items():
                for s in SCALARS:
                    check(f"masked_fill {form}", f, (data(a, 3, 4), m, s))
                for b in DTYPES:
                    check(f"masked_fill {form}", f, (data(a, 3, 4), m, data(b)))
                check(f"masked_fill {form}", f, (data(a, 3, 4), m, data(a, 1)))
            for form, f in forms("masked_select").items():
                check(f"masked_select {form}", f, (data(a, 3, 4), m))
        for shape in ((3, 4), (), (0,), (2, 0)):
            for form, f in forms("nonzero").items():
                check(f"nonzero {form}", f, (data(a, *shape),))
                check(f"nonzero {form}", f, (data(a, *shape),), {"as_tuple": True})
    check.done()


def test_order():
    check = Comparison()
    for a in DTYPES:
        for shape in ((3, 6), (), (0,), (2, 0), (7,)):
            for kwargs in ({}, {"dim": 0}, {"dim": 1}, {"descending": True}, {"dim": 4}):
                for form, f in forms("sort").items():
                    check(f"sort {form}", f, (data(a, *shape),), {"stable": True, **kwargs})
                    check(f"sort {form}", lambda *x, f=f, **k: f(*x, **k)[0], (data(a, *shape),), kwargs)
                for form, f in forms("argsort").items():
                    check(f"argsort {form}", f, (data(a, *shape),), {"stable": True, **kwargs})
            for k, largest in itertools.product((0, 1, 2, 9, -1), (True, False)):
                for form, f in forms("topk").items():
                    call = lambda *x, f=f, **kw: f(*x, **kw)[0]
                    check(f"topk {form}", call, (data(a, *shape), k), {"largest": largest})
                    check(f"topk {form}", call, (data(a, *shape), k, 0), {"largest": largest})
            for kwargs in ({}, {"return_inverse": True}, {"return_counts": True}, {"dim": 0}):
                for form, f in forms("unique").items():
                    check(f"unique {form}", f, (data(a, *shape, special="dim" not in kwargs),), kwargs)
    check.done()


# -- random fills and single rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uniform_", "normal_", "random_", "exponential_", "bernoulli_"])
def test_random_fills_follow_memory(name):
    check = Comparison()

    def form(lib, shape, view):
        lib.manual_seed(3)
        return getattr(view(lib.empty(shape)), name)()

    for shape in ((7, 5), (6, 8)):
        for view in (lambda t: t.t(), lambda t: t[:, ::2], lambda t: t[:, ::2].t(), lambda t: t):
            check(name, form, (shape, view))
    check.done()


def test_rules():
    check = Comparison()
    for f in (
        lambda lib: lib.zeros(3).mT,
        lambda lib: lib.zeros(3).sum_to_size(1, 3),
        lambda lib: lib.cat([]),
        lambda lib: lib.tensor([1, 200], dtype=lib.uint8).clamp(max=300),
        lambda lib: lib.randint(0, 300, (2,), dtype=lib.int8),
        lambda lib: lib.normal(0.0, lib.tensor([-1.0])),
        lambda lib: lib.bernoulli(lib.tensor([float("nan")])),
    ):
        check("rule", f, ())

    def gradient(lib):
        x = lib.ones(2, 3, requires_grad=True)
        target, weight = lib.tensor([-100, -100]), lib.tensor([1.0, 2.0, 3.0])
        lib.nn.functional.cross_entropy(x, target, weight, label_smoothing=0.1).backward()
        return x.grad

    check("cross_entropy without rows", gradient, ())
    check.done()
