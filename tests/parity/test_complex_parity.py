"""Complex tensors beside PyTorch: values, dtypes, gradients, printing, classes of errors."""

import numpy as np
import pytest
from both_libraries import LIBS
from complex_helpers import both, crand, rand

import pynn

torch = pytest.importorskip("torch")


Z, Y, R, M, N = crand(3, 4), crand(3, 4, seed=5), rand(3, 4, low=0.2), crand(3, 3), crand(3, 3, seed=3)
SMALL = crand(2, 3, 2) / 2
MASK = rand(3, 4) > 0
U = (
    "neg abs angle sgn conj conj_physical square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan "
    "asin acos atan sinh cosh tanh asinh acosh atanh sigmoid logical_not isnan isinf isfinite isreal real imag positive "
    "sum mean prod var std norm any all count_nonzero nonzero view_as_real resolve_conj resolve_neg t trace "
    "triu tril diag adjoint flatten is_complex is_nonzero cov corrcoef diff "
    # refused
    "sign floor ceil round trunc frac erf erfc relu max min amax sort argmax median unique bitwise_not i0 lgamma erfinv "
    "deg2rad rad2deg isposinf isneginf signbit"
).split()
CASES = [
    *[(n, lambda t, x, n=n: getattr(t, n)(x), M) for n in U],
    *[("real " + n, lambda t, x, n=n: getattr(t, n)(x), R) for n in "angle sgn conj real imag isreal view_as_real".split()],
    ("silu", lambda t, x: t.nn.functional.silu(x.detach()), Z),
    ("nan_to_num", lambda t, x: t.nan_to_num(x.detach()), Z),
    *[
        (f"{n} {kind}", lambda t, x, y, n=n: getattr(t, n)(x, y), a, b)
        for n in "add sub mul div pow eq ne logical_and logical_or logical_xor isclose true_divide rsub float_power".split()
        for kind, a, b in (("cc", Z, Y), ("cr", Z, R), ("rc", R, Z))
        if not (n == "isclose" and kind != "cc")
    ],
    *[
        (n, lambda t, x, y, n=n: getattr(t, n)(x, y), Z, Y)
        for n in "lt le gt ge maximum minimum remainder fmod floor_divide atan2 hypot copysign fmax bitwise_and xlogy".split()
    ],
    *[
        (f"{n} number", lambda t, x, n=n, s=s: getattr(t, n)(x, s), x)
        for n in "add sub mul div pow".split()
        for s in (2j, 1 - 1j, 3, 0.5, True)
        for x in (Z, R)
        if not (n == "sub" and s is True)
    ],
    *[("pow", lambda t, x, p=p: x**p, Z) for p in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.7, 2j)],
    ("number pow", lambda t, x: (2**x, (1 + 1j) ** x), Z),
    ("number pow", lambda t, x: (2j**x, 1j / x, 1j - x, 1j * x, 1j + x), R),
    ("int", lambda t: (t.tensor([1]) * 1j, t.tensor([True]) + 1j, t.arange(3) == 1j)),
    ("bf16", lambda t: t.ones(2, dtype=t.bfloat16) * 1j),
    ("0-d", lambda t: (t.tensor(1.0, dtype=t.float64) * t.ones(2, dtype=t.complex64), t.ones(2) * t.tensor(1j, dtype=t.complex128))),
    ("result_type", lambda t: (t.result_type(t.ones(1), 1j), t.result_type(t.ones(1).double(), 1j), t.result_type(t.ones(1).double(), t.ones(1, dtype=t.complex64)))),
    ("promote", lambda t: (t.promote_types(t.float64, t.complex64), t.promote_types(t.int64, t.complex64), t.can_cast(t.complex64, t.float32), t.can_cast(t.float64, t.complex64))),
    ("alpha", lambda t, x, y: (x.add(y, alpha=2j), x.sub(y, alpha=1 - 1j)), Z, Y),
    ("alpha", lambda t, x: x.add(x, alpha=2j), R),
    ("where", lambda t, x, y, m: (t.where(m, x, y.detach()), t.where(m, x, 1j), t.where(m, 0, x)), Z, R, MASK),
    ("where", lambda t, x, m: t.where(m, x.detach(), 1j), R, MASK),
    ("masked_fill", lambda t, x, m: x.masked_fill(m, 1j), Z, MASK),
    ("masked_fill", lambda t, x, m: x.masked_fill(m, 1j), R, MASK),
    ("addcmul", lambda t, x, y: (t.addcmul(x, x, y, value=2j), t.addcdiv(x, y, x, value=1 - 1j)), Z, Y),
    ("lerp", lambda t, x, y, w: (t.lerp(x, y, 0.3), t.lerp(x, y, w)), Z, Y, Z * 0.1),
    ("clamp", lambda t, x: t.clamp(x, 0), Z),
    ("clamp", lambda t, x: t.clamp(x, max=1j), R),
    *[
        (n, lambda t, x, n=n, d=d: getattr(x, n)(d), Z)
        for n in "sum mean var std norm cumsum cumprod prod logsumexp any all logcumsumexp softmax log_softmax".split()
        for d in (0, 1)
        if n not in ("norm", "logcumsumexp")
    ],
    *[("norm", lambda t, x, p=p: (x.norm(p), x.norm(p, 1)), Z) for p in (1, 2, 3, float("inf"), -float("inf"))],
    ("norm", lambda t, x: x.detach().norm(0), Z),
    ("linalg norms", lambda t, x: (t.linalg.norm(x), t.linalg.vector_norm(x, 3, 1), t.linalg.matrix_norm(x), t.linalg.matrix_norm(x, 1), t.linalg.norm(x, "nuc")), Z),
    ("var", lambda t, x: (t.var(x, 1, correction=0), t.std_mean(x, 1), t.var_mean(x)), Z),
    ("prod zeros", lambda t, x: (x.prod(1), x.cumprod(1)), np.where(np.arange(12).reshape(3, 4) == 5, 0, Z)),
    ("sum dtype", lambda t, x: (x.sum(dtype=t.complex128), t.sum(x, 0, dtype=t.complex64)), R),
    ("dist", lambda t, x, y: t.dist(x, y), Z, Y),
    ("matmul", lambda t, x, y: (x @ y, t.mm(x, y), x.mv(y[0]), x[0].dot(y[0]), t.vdot(x[0], y[1]), t.inner(x, y), t.outer(x[0], y[0])), M, N),
    ("matmul", lambda t, x: (x.H @ x, x.mT @ x, t.bmm(x[None], x[None].mH), t.linalg.vecdot(x, x)), M),
    ("addmm", lambda t, x, y: (t.addmm(x, x, y, beta=1j, alpha=2 - 1j), t.addmv(x[0], x, y[0], alpha=1j), t.addr(x, x[0], y[0], beta=2j)), M, N),
    ("mixed mm", lambda t, x, y: t.mm(x, y), M, rand(3, 3)),
    ("mixed dot", lambda t, x, y: t.dot(x, y), crand(3), rand(3)),
    ("einsum", lambda t, x, y: (t.einsum("ij,jk->ik", x, y), t.einsum("ij,ij->", x, y), t.tensordot(x, y, 1), t.kron(x, y)), M, N),
    ("linear", lambda t, x, w: t.nn.functional.linear(x, w, w[0]), M, N),
    ("complex", lambda t, x, y: (t.complex(x, y), t.polar(x, y), t.complex(x, y[:1])), R, rand(3, 4)),
    ("complex", lambda t, x: t.complex(x, x.long()), R),
    ("complex", lambda t: t.complex(t.tensor([1]), t.tensor([2]))),
    ("polar", lambda t, x: t.polar(x, x.double() if x.dtype == t.float32 else x.float()), R),
    ("parts", lambda t, x: (x.real, x.imag, x.mT, x.H, x.mH, x.real * x.imag), Z),
    ("H", lambda t, x: x.H, crand(2)),
    ("view_as_complex", lambda t, x: t.view_as_complex(x), rand(3, 2)),
    *[("view_as_complex", lambda t, x: t.view_as_complex(x), x) for x in (rand(3), rand(3, 4), np.array(1.0), np.ones((2, 2), int))],
    ("writes", lambda t, x, y: _write(x, y), Z, R),
    ("cat", lambda t, x, y: (t.cat([x, y]), t.stack([x, y]), t.block_diag(x, y), t.vander(x[0].detach())), Z, R),
    ("index", lambda t, x: (x[[0, 2]], x[1:, ::2], x.gather(0, t.tensor([[0, 1, 1, 2]])), x.flip(0), x.roll(1), x.take(t.tensor([0, 5]))), Z),
    ("index_fill", lambda t, x: x.detach().index_fill(0, t.tensor([0]), 1j), Z),
    ("gradient", lambda t, x: (t.trapezoid(x), t.cumulative_trapezoid(x), t.diff(x)), Z),
    ("to", lambda t, x: (x.to(t.float32), x.double(), x.to(t.complex64), x.detach().long(), x.detach().bool()), Z),
    ("to", lambda t, x: (x.to(t.complex64), x.cfloat(), x.cdouble()), R),
    ("item", lambda t: (t.tensor(1j).item(), complex(t.tensor(2.0)), bool(t.tensor(1j)), t.tensor([1j, 2]).tolist())),
    ("float", lambda t: float(t.tensor(1j))),
    ("float", lambda t: float(t.tensor(2 + 0j))),
    ("int", lambda t: int(t.tensor(1j))),
    ("tensor", lambda t: t.tensor(1j, dtype=t.float32)),
    ("creation", lambda t: (t.full((2,), 1j), t.eye(2, dtype=t.complex64), t.linspace(1j, 2, 3), t.linspace(0, 1, 3, dtype=t.complex64), t.full_like(t.ones(2, dtype=t.complex64), 2j), t.ones(2).new_full((1,), 1j, dtype=t.complex64), t.scalar_tensor(1j, dtype=t.complex64))),
    ("arange", lambda t: t.arange(3, dtype=t.complex64)),
    ("arange", lambda t: t.arange(1j)),
    ("fill", lambda t: t.ones(2).fill_(1j)),
    ("setitem", lambda t: t.ones(2).__setitem__(0, 1j)),
    ("setitem", lambda t: (lambda z: (z.__setitem__(0, 1j), z)[1])(t.ones(2, dtype=t.complex64))),
    ("mul_", lambda t: t.ones(2).mul_(1j)),
    ("abs_", lambda t: t.ones(2, dtype=t.complex64).abs_()),
    ("backward", lambda t, x: x.sum().backward(), Z),
    ("backward", lambda t, x: t.autograd.grad(x.sum(), x), Z),
    ("randint", lambda t: t.randint(3, (2,), dtype=t.complex64)),
    ("default", lambda t: t.set_default_dtype(t.complex64)),
    ("finfo", lambda t: (t.finfo(t.complex64).eps, t.finfo(t.complex128).max, t.finfo(t.complex64).bits, t.finfo(t.complex64).dtype)),
    ("dtype", lambda t: (t.complex64.to_real(), t.float64.to_complex(), t.complex64.is_complex, t.cfloat, t.cdouble, t.complex128.itemsize, t.complex64.is_signed)),
    ("dtype", lambda t: t.int64.to_complex()),
    ("allclose", lambda t, x: (t.allclose(x, x + 1e-9), t.equal(x, x), t.allclose(x, x * 2)), Z),
    ("pow zero", lambda t: (t.zeros(2, dtype=t.complex128) ** 2, t.zeros(2, dtype=t.complex128) ** 0)),
    ("nn.Linear", lambda t, x: (lambda m: [p.dtype for p in m.parameters()])(t.nn.Linear(4, 2, dtype=t.complex64)), Z),
    ("type", lambda t: (t.tensor([1j]).type(), t.tensor([1j]).element_size(), t.tensor([1j]).is_signed())),
]  # fmt: skip


def _write(x, y):
    z = x * 1
    z.real.mul_(y)
    z.imag[0] = 3
    z += 1j
    return z * z, z.real


@pytest.mark.parametrize("case", CASES, ids=[f"{i} {c[0]}" for i, c in enumerate(CASES)])
def test_same(case):
    name, call, *arrays = case
    both(call, *arrays, where=name)


def test_lazy_conjugates_are_the_only_difference_of_conj():
    z = pynn.tensor([1 + 2j])
    assert not z.conj().is_conj() and torch.tensor([1 + 2j]).conj().is_conj()


PRINTED = [
    "t.tensor([1 + 2j, -3j])",
    "t.tensor(1 + 0j)",
    "t.tensor([1e-9 + 1e9j, 3])",
    "t.tensor([float('nan') + 1j, complex(1, float('inf'))])",
    "t.tensor([1.5 + 2j, 0.25 - 0.125j], dtype=t.complex128)",
    "t.tensor([[1 + 1j] * 3] * 2)",
    "t.tensor([[0.123456 - 10j, 1], [2, 3j]], requires_grad=True)",
    "t.zeros(2, 0, dtype=t.complex64)",
    "t.zeros(0, dtype=t.complex128)",
    "t.arange(2000) * 1j",
    "t.tensor([1 + 2j], requires_grad=True).abs()",
    "t.tensor([1 + 2j], requires_grad=True).real",
    "t.tensor([1 + 2j], requires_grad=True).angle()",
    "t.view_as_real(t.tensor([1 + 2j], requires_grad=True))",
    "t.view_as_complex(t.ones(3, 2, requires_grad=True))",
    "t.tensor([1 + 2j], requires_grad=True).sgn()",
    "t.complex(t.ones(2, requires_grad=True), t.ones(2))",
    "t.tensor([1 + 2j], requires_grad=True).conj()",
    "t.tensor([-0.0 - 0.0j])",
    "t.tensor([100.5 + 0.001j, 1e5j])",
]


@pytest.mark.parametrize("text", PRINTED)
def test_printing(text):
    ours, theirs = (repr(eval(text, {"t": lib, "float": float, "complex": complex})) for lib in LIBS)
    assert ours == theirs


def test_random_numbers():
    for call in (
        lambda t: t.randn(40, dtype=t.complex64),
        lambda t: t.randn(5, dtype=t.complex128),
        lambda t: t.rand(7, dtype=t.complex64),
        lambda t: t.empty(30, dtype=t.complex64).normal_(1, 2),
        lambda t: t.empty(3, dtype=t.complex64).uniform_(1, 2),
        lambda t: t.randn_like(t.ones(20, dtype=t.complex128)),
    ):
        found = []
        for lib in LIBS:
            lib.manual_seed(3)
            found.append(call(lib).numpy())
        np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def test_second_derivatives():
    def twice(lib, f):
        x = lib.from_numpy(Z.copy()).requires_grad_()
        (g,) = lib.autograd.grad(f(lib, x).abs().sum(), x, create_graph=True)
        (h,) = lib.autograd.grad((g * g).abs().sum(), x)
        return h.detach().resolve_conj().numpy()

    for f in (
        lambda t, x: x * x * 2j,
        lambda t, x: x.exp(),
        lambda t, x: x.tanh(),
        lambda t, x: x.sigmoid() / x,
        lambda t, x: t.view_as_real(x).sin(),
        lambda t, x: x.sgn() * x.angle(),
        lambda t, x: x @ x.H,
        lambda t, x: x.cumsum(0).prod(1),
    ):
        np.testing.assert_allclose(*(twice(lib, f) for lib in LIBS), rtol=1e-9, atol=1e-9)


def test_torch_files(tmp_path):
    state = {"a": torch.tensor(Z), "b": torch.tensor([1j])}
    torch.save(state, tmp_path / "t.pt")
    ours = pynn.load(tmp_path / "t.pt")
    assert ours["a"].dtype == pynn.complex128 and ours["a"].tolist() == state["a"].tolist()
    pynn.save(ours, tmp_path / "p.pt")
    back = torch.load(tmp_path / "p.pt", weights_only=True)
    assert torch.equal(back["a"], state["a"]) and torch.equal(back["b"], state["b"])
    exchanged = pynn.from_dlpack(state["a"])
    assert exchanged.dtype == pynn.complex128 and exchanged.tolist() == state["a"].tolist()
    assert torch.equal(torch.from_dlpack(exchanged), state["a"])
