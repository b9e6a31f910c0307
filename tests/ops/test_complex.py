"""Complex tensors against NumPy's complex128, and their derivatives against finite differences."""

import numpy as np
import pytest
from helpers import arr, assert_values, raises, tensor

import pynn
from pynn.autograd import gradcheck, gradgradcheck

C64, C128 = pynn.complex64, pynn.complex128
LIMIT = {C64: 2e-6, C128: 1e-13}


def carr(*shape, seed=0, low=-2.0, high=2.0):
    return arr(*shape, seed=seed, low=low, high=high) + 1j * arr(*shape, seed=seed + 50, low=low, high=high)


def leaf(array):
    return tensor(array, requires_grad=True)


def close(t, expected, factor=1.0, where=""):
    expected = np.asarray(expected)
    assert tuple(t.shape) == expected.shape, where
    assert t.is_complex() == np.iscomplexobj(expected), (where, t.dtype)
    limit = factor * LIMIT[t.dtype.to_complex()]
    np.testing.assert_allclose(t.detach().numpy(), expected, rtol=limit, atol=limit, err_msg=where)


def check(fn, ref, *arrays, factor=1.0, grad=True, gradgrad=True, layouts=True):
    """Values in both precisions and in other layouts, then both derivatives."""
    for dtype in (C128, C64):
        inputs = [
            tensor(a).to(dtype if np.iscomplexobj(a) else dtype.to_real()) if isinstance(a, np.ndarray) else a
            for a in arrays
        ]
        rounded = [t.numpy() if isinstance(t, pynn.Tensor) else t for t in inputs]
        wide = [
            a.astype(np.result_type(a.dtype, np.float64)) if isinstance(a, np.ndarray) else a for a in rounded
        ]
        with np.errstate(all="ignore"):
            expected = ref(*wide)
        found = fn(*inputs)
        assert found.dtype in (dtype, dtype.to_real()), found.dtype
        close(found, expected, factor, f"{dtype}")
        if not layouts:
            continue
        moved = [
            t.permute(*range(t.dim() - 1, -1, -1)).contiguous().permute(*range(t.dim() - 1, -1, -1))
            if isinstance(t, pynn.Tensor)
            else t
            for t in inputs
        ]
        close(fn(*moved), expected, factor, f"{dtype} transposed")
    if grad:
        leaves = [leaf(a) if isinstance(a, np.ndarray) else a for a in arrays]
        assert gradcheck(fn, leaves)
        if gradgrad:
            assert gradgradcheck(fn, leaves)


UNARY = {
    "neg": np.negative,
    "abs": np.abs,
    "angle": np.angle,
    "conj": np.conj,
    "sgn": lambda x: x / np.abs(x),
    "square": np.square,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    x = carr(3, 4)
    check(getattr(pynn, name), UNARY[name], x, factor=4)
    # Longer than a vector, in place and with out=.
    long = tensor(carr(70, 41, seed=3))
    expected = UNARY[name](long.numpy())
    close(getattr(pynn, name)(long), expected, 20)
    if name not in ("abs", "angle", "conj"):
        copy = long.clone()
        assert getattr(copy, name + "_")() is copy
        close(copy, expected, 20)


def test_functions_near_zero_are_exact():
    x = np.array([1e-20 + 1e-18j, -3e-9 + 1e-12j, 1e-300j])
    t = tensor(x)
    np.testing.assert_allclose(t.expm1().numpy(), x, rtol=1e-8)
    np.testing.assert_allclose(t.log1p().numpy(), x, rtol=1e-8)


def test_infinities_and_nan():
    inf, nan = np.inf, np.nan
    x = np.array(
        [complex(inf, 1), complex(0, -inf), complex(nan, 0), complex(1, nan), complex(nan, inf), 1 + 1j]
    )
    t = tensor(x)
    np.testing.assert_array_equal(t.isnan().numpy(), np.isnan(x))
    np.testing.assert_array_equal(t.isinf().numpy(), np.isinf(x))
    np.testing.assert_array_equal(t.isfinite().numpy(), np.isfinite(x))
    np.testing.assert_array_equal(t.abs().numpy(), np.abs(x))
    short = x.astype(np.complex64)
    np.testing.assert_array_equal(tensor(short).abs().numpy(), np.abs(short))
    np.testing.assert_allclose(tensor(short).angle().numpy(), np.angle(short), rtol=1e-6)
    assert tensor(np.array([3e38 + 1e38j], np.complex64)).abs().item() == pytest.approx(
        3.1622777e38, rel=1e-6
    )
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(t.nan_to_num().numpy(), np.nan_to_num(x))
    assert tensor(np.array([0j, 1j])).logical_not().tolist() == [True, False]


BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("kinds", ["cc", "cr", "rc"])
def test_binary(name, kinds):
    make = {"c": carr, "r": lambda *s, seed: arr(*s, seed=seed, low=0.3)}
    a, b = make[kinds[0]](3, 4, seed=1), make[kinds[1]](4, seed=2)
    check(getattr(pynn, name), BINARY[name], a, b, factor=10)


@pytest.mark.parametrize("name", BINARY)
def test_binary_with_numbers(name):
    fn, ref = getattr(pynn, name), BINARY[name]
    for x in (carr(2, 3), arr(2, 3, low=0.2)):
        for s in (2 - 1j, 1j, 3.0, 2, True):
            if name == "sub" and s is True:
                continue
            if np.iscomplexobj(x) or np.iscomplexobj(s):
                check(lambda t, s=s: fn(t, s), lambda a, s=s: ref(a, s), x, factor=10)
    x, t = carr(2, 3), tensor(carr(2, 3))
    close(1j - t, 1j - x)
    close(1j / t, 1j / x, 5)
    close((2 + 1j) ** t, (2 + 1j) ** x, 20)
    close(2**t, 2**x, 20)
    close(t + np.complex64(1j), x + 1j)
    close(t * np.complex128(1j), x * 1j)
    real = tensor(arr(2, 3, low=0.1))
    close((2j) ** real, (2j) ** real.numpy(), 20)
    assert gradcheck(lambda a: 2**a, [leaf(x)])
    assert gradcheck(lambda a: (1 - 2j) ** a, [leaf(x)])
    assert gradcheck(lambda a: (1 - 2j) ** a, [leaf(arr(2, 3))])
    assert gradcheck(lambda a: 1j / a, [leaf(x)])


def test_powers_of_zero_and_whole_powers():
    z = pynn.zeros(2, dtype=C128)
    assert (z**2).tolist() == [0, 0] and (z**0).tolist() == [1, 1]
    x = carr(5)
    for p in (2, 3, 0.5, -0.5, -1, -2, 1, 0):
        close(tensor(x) ** p, x**p, 4)
    assert (tensor(np.array([1 + 2j])) ** 2).tolist() == [(1 + 2j) ** 2]


def test_alpha():
    a, b = carr(2, 3), carr(2, 3, seed=1)
    check(lambda x, y: pynn.add(x, y, alpha=2j), lambda x, y: x + 2j * y, a, b)
    check(lambda x, y: pynn.sub(x, y, alpha=1 - 1j), lambda x, y: x - (1 - 1j) * y, a, b)
    check(lambda x, y: pynn.add(x, y, alpha=3), lambda x, y: x + 3 * y, a, arr(2, 3))
    with raises(RuntimeError, "alpha must not be a complex"):
        pynn.add(tensor(arr(2)), tensor(arr(2)), alpha=1j)


def test_in_place():
    for name, ref in BINARY.items():
        x = carr(3, 4)
        t = tensor(x)
        y = getattr(t, name + "_")(tensor(carr(4, seed=4)))
        assert y is t
        close(t, ref(x, carr(4, seed=4)), 10)

        def fn(a, b, name=name):
            return getattr(a.clone(), name + "_")(b)

        assert gradcheck(fn, [leaf(x), leaf(carr(4, seed=4))])
    t = tensor(carr(3))
    t += 1j
    t *= 2j
    t -= 1
    t /= 1 + 1j
    close(t, ((carr(3) + 1j) * 2j - 1) / (1 + 1j), 4)
    with raises(RuntimeError, "can't be cast"):
        pynn.ones(2).mul_(1j)
    with raises(RuntimeError, "In-place abs is not supported"):
        tensor(carr(2)).abs_()


def test_comparison_and_logic():
    a = np.array([1 + 1j, 2, 0, 1 - 1j])
    b = np.array([1 + 1j, 2j, 0, 1 + 1j])
    x, y = tensor(a), tensor(b)
    assert (x == y).tolist() == (a == b).tolist()
    assert (x != y).tolist() == (a != b).tolist()
    assert (x == 2).tolist() == [False, True, False, False]
    assert (tensor(a.real) == 1j).tolist() == [False] * 4
    for name in ("logical_and", "logical_or", "logical_xor"):
        assert getattr(x, name)(y).tolist() == getattr(np, name)(a, b).tolist()
    for name in ("lt", "le", "gt", "ge", "maximum", "minimum", "remainder", "fmod", "atan2", "floor_divide"):
        with raises((NotImplementedError, RuntimeError), "complex"):
            getattr(pynn, name)(x, y)
    for name in ("floor", "ceil", "round", "trunc", "erf", "sign", "relu", "max", "sort", "argmax", "median"):
        with raises((NotImplementedError, RuntimeError), "complex"):
            getattr(pynn, name)(x)
    with raises(NotImplementedError, "complex"):
        pynn.clamp(x, 0)


def test_three_operands():
    a, b, c = carr(3, 4), carr(4, seed=1), carr(3, 1, seed=2)
    check(lambda x, y, z: pynn.addcmul(x, y, z, value=1 - 2j), lambda x, y, z: x + (1 - 2j) * y * z, a, b, c)
    check(lambda x, y, z: pynn.addcdiv(x, y, z, value=2), lambda x, y, z: x + 2 * y / z, a, b, c, factor=10)
    check(pynn.lerp, lambda x, y, w: x + w * (y - x), a, carr(3, 4, seed=5), c * 0.2, factor=4)
    check(lambda x, y: pynn.lerp(x, y, 0.7), lambda x, y: x + 0.7 * (y - x), a, carr(3, 4, seed=5), factor=4)
    mask = arr(3, 4) > 0
    m = tensor(mask)
    check(lambda x, y: pynn.where(m, x, y), lambda x, y: np.where(mask, x, y), a, b)
    check(lambda x: pynn.where(m, x, 1j), lambda x: np.where(mask, x, 1j), a)
    check(lambda x: pynn.where(m, x, 1j), lambda x: np.where(mask, x, 1j), arr(3, 4))
    check(lambda x: x.masked_fill(m, 2j), lambda x: np.where(mask, 2j, x), a)


def test_reductions():
    x = carr(3, 4, 5)
    for dims in (None, 0, (1,), (0, 2), (0, 1, 2), -1):
        axes = dims if not isinstance(dims, int) else (dims,)
        check(lambda t, d=dims: t.sum(d), lambda a, d=axes: a.sum(d), x, factor=20)
        check(lambda t, d=dims: t.mean(d), lambda a, d=axes: a.mean(d), x, factor=20)
        check(lambda t, d=dims: t.var(d), lambda a, d=axes: a.var(d, ddof=1), x, factor=20)
        check(lambda t, d=dims: t.std(d), lambda a, d=axes: a.std(d, ddof=1), x, factor=20)
        check(
            lambda t, d=dims: pynn.linalg.vector_norm(t, 2, d),
            lambda a, d=axes: np.sqrt((np.abs(a) ** 2).sum(d)),
            x,
            factor=20,
        )
    for p in (1, 3, 0.5, np.inf, -np.inf, 0):
        check(
            lambda t, p=p: t.norm(p, 1),
            lambda a, p=p: np.linalg.norm(np.abs(a), p, 1),
            x,
            factor=40,
            gradgrad=abs(p) not in (0, np.inf),
        )
    small = carr(2, 3, 2)
    check(lambda t: t.prod(1), lambda a: a.prod(1), small, factor=10)
    check(lambda t: t.prod(), lambda a: a.prod(), small, factor=100)
    check(lambda t: t.cumsum(1), lambda a: a.cumsum(1), small, factor=4)
    check(lambda t: t.cumprod(1), lambda a: a.cumprod(1), small, factor=10)
    zero = small.copy()
    zero[0, 1, 0] = 0
    check(lambda t: t.prod(1), lambda a: a.prod(1), zero, factor=10)
    check(lambda t: t.cumprod(1), lambda a: a.cumprod(1), zero, factor=10)
    check(lambda t: t.logsumexp(1), lambda a: np.log(np.exp(a).sum(1)), small, factor=10)
    t = tensor(np.array([[0, 1j], [0, 0]]))
    assert t.any(1).tolist() == [True, False] and t.all(1).tolist() == [False, False]
    assert t.count_nonzero().item() == 1 and t.nonzero().tolist() == [[0, 1]]
    big = tensor(carr(300, 70))
    close(big.sum(), big.numpy().sum(), 1000)
    close(big.sum(0), big.numpy().sum(0), 100)
    assert pynn.zeros(0, dtype=C64).sum().item() == 0
    assert tensor(arr(3)).sum(dtype=C64).dtype == C64


def test_products():
    for shapes in (
        ((3, 4), (4, 5)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
    ):
        a, b = carr(*shapes[0]), carr(*shapes[1], seed=1)
        check(pynn.matmul, np.matmul, a, b, factor=20)
    for shape in ((40, 60, 50), (1, 300, 7), (65, 33, 129)):
        m, k, n = shape
        a, b = carr(m, k), carr(k, n, seed=1)
        check(pynn.mm, np.matmul, a, b, factor=200, grad=False)
        check(
            lambda x, y: pynn.mm(x.mT, y.mT),
            lambda x, y: x.T @ y.T,
            carr(k, m),
            carr(n, k),
            factor=200,
            grad=False,
        )
    u, v = carr(5), carr(5, seed=1)
    check(pynn.dot, lambda a, b: a @ b, u, v, factor=10)
    check(pynn.vdot, np.vdot, u, v, factor=10)
    check(pynn.inner, np.inner, u, v, factor=10)
    check(pynn.outer, np.outer, u, v, factor=10)
    check(pynn.kron, np.kron, u, v, factor=10)
    check(pynn.linalg.vecdot, lambda a, b: (a.conj() * b).sum(-1), carr(2, 5), carr(2, 5, seed=1), factor=10)
    check(
        lambda a, b, c: pynn.einsum("ij,jk,kl->il", a, b, c),
        lambda a, b, c: a @ b @ c,
        carr(2, 3),
        carr(3, 4),
        carr(4, 2),
        factor=40,
    )
    check(
        lambda x, w, b: pynn.nn.functional.linear(x, w, b),
        lambda x, w, b: x @ w.T + b,
        carr(2, 3, 4),
        carr(5, 4),
        carr(5),
        factor=20,
    )
    m = carr(3, 3)
    for name, args in (
        ("addmm", (m, carr(3, 3, seed=1))),
        ("addmv", (m, carr(3))),
        ("addr", (carr(3), carr(3))),
    ):
        check(
            lambda x, a, b, name=name: getattr(pynn, name)(x, a, b, beta=1 - 1j, alpha=2j),
            lambda x, a, b, name=name: (1 - 1j) * x + 2j * (np.outer(a, b) if name == "addr" else a @ b),
            carr(3, seed=9),
            *args,
            factor=20,
        )
    check(
        lambda x, a, b: pynn.baddbmm(x, a, b, beta=0, alpha=1j),
        lambda x, a, b: 1j * (a @ b),
        carr(2, 3, 3),
        carr(2, 3, 4),
        carr(2, 4, 3),
        factor=20,
    )
    with raises(RuntimeError, "same dtype"):
        pynn.mm(tensor(arr(2, 2)), tensor(carr(2, 2)))


def test_parts_are_views():
    x = tensor(carr(2, 3))
    x.real[0, 0] = 5
    x.imag.mul_(2)
    expected = carr(2, 3)
    expected.imag *= 2
    expected.real[0, 0] = 5
    close(x, expected)
    x.real = 1
    x.imag = tensor(arr(2, 3))
    close(x, 1 + 1j * arr(2, 3))
    r = pynn.view_as_real(x)
    assert r._base is x and tuple(r.shape) == (2, 3, 2)
    assert pynn.view_as_complex(r).data_ptr() == x.data_ptr()
    assert r.mT.transpose(-1, -2).stride() == r.stride()
    real = tensor(arr(3))
    assert real.real is real and pynn.real(real) is real and pynn.conj(real) is real
    for bad, word in (
        (lambda: pynn.view_as_real(real), "complex"),
        (lambda: pynn.view_as_complex(real), "size 2"),
        (lambda: pynn.view_as_complex(pynn.ones(3, 2, dtype=pynn.int64)), "float and double"),
        (lambda: pynn.view_as_complex(pynn.ones(2, 4)[:, ::2]), "stride 1"),
        (lambda: pynn.view_as_complex(pynn.ones(5)[1:3]), "storage_offset"),
        (lambda: pynn.view_as_complex(pynn.ones(3, 3)[:, :2]), "divisible by 2"),
        (lambda: pynn.view_as_complex(pynn.tensor(1.0)), "one or more"),
        (lambda: real.imag, "non-complex"),
        (lambda: pynn.imag(real), "non-complex"),
    ):
        with raises(RuntimeError, word):
            bad()


def test_parts_under_autograd():
    check(pynn.view_as_real, lambda a: np.stack([a.real, a.imag], -1), carr(2, 3))
    check(pynn.view_as_complex, lambda a: a[..., 0] + 1j * a[..., 1], arr(3, 2), layouts=False)
    check(pynn.real, np.real, carr(2, 3))
    check(pynn.imag, np.imag, carr(2, 3))
    check(pynn.complex, lambda a, b: a + 1j * b, arr(2, 3), arr(3, seed=1))
    check(pynn.polar, lambda a, b: a * np.exp(1j * b), arr(2, 3, low=0.1), arr(3, seed=1), factor=4)
    check(lambda x: x.H, lambda a: a.conj().T, carr(2, 3))
    check(lambda x: x.mH, lambda a: a.conj().swapaxes(-1, -2), carr(2, 2, 3))
    check(pynn.adjoint, lambda a: a.conj().swapaxes(-1, -2), carr(2, 2, 3))
    check(lambda x: x.mT, lambda a: a.swapaxes(-1, -2), carr(2, 2, 3))
    assert gradcheck(lambda x: x.to(C128) * 2j, [leaf(arr(2, 3))])
    assert gradcheck(lambda x: (x * 2j).real, [leaf(arr(2, 3))])


def test_writes_through_parts_change_the_history():
    def write(z, w):
        y = z * 1
        y.real.mul_(w)
        y.imag[0] = w[1] * 3
        return y * y

    assert gradcheck(write, [leaf(carr(2, 3)), leaf(arr(2, 3))])
    assert gradgradcheck(write, [leaf(carr(2, 3)), leaf(arr(2, 3))])

    def other_way(r, z):
        y = r * 1
        pynn.view_as_complex(y)[1].mul_(z)
        return y * y

    assert gradcheck(other_way, [leaf(arr(3, 2)), leaf(carr())])

    def later(z):
        y = z * 1
        r = y.real
        y.mul_(2j)
        return r * r  # of the new y

    assert gradcheck(later, [leaf(carr(3))])

    def within(z):
        y = z * 1
        pynn.view_as_real(y[1:])[..., 1] *= 3
        return y * y

    assert gradcheck(within, [leaf(carr(3))])


def test_gradients_of_real_inputs_are_real():
    r, z = leaf(arr(3)), leaf(carr(3))
    out = (r * z).abs().sum()
    out.backward()
    assert r.grad.dtype == pynn.float64 and z.grad.dtype == C128
    x = leaf(carr(2))
    with raises(RuntimeError, "grad can be implicitly created only for real scalar outputs"):
        x.sum().backward()
    with raises(RuntimeError, "grad can be implicitly created only for real scalar outputs"):
        pynn.autograd.grad(x.sum(), x)
    # The gradient of |z|^2 is 2z: the direction of steepest ascent.
    (x.abs() ** 2).sum().backward()
    close(x.grad, 2 * carr(2), 4)


def test_gradcheck_finds_a_missing_conjugate():
    class Wrong(pynn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    with raises(RuntimeError, "finite differences"):
        gradcheck(Wrong.apply, [leaf(carr(2))])
    with raises(RuntimeError, "finite differences"):
        gradcheck(Wrong.apply, [leaf(carr(2))], fast_mode=True)


def test_creation():
    assert pynn.tensor([1 + 2j, 3]).tolist() == [1 + 2j, 3]
    assert pynn.tensor([1 + 2j]).dtype == C64 and pynn.tensor(1j, dtype=C128).item() == 1j
    with raises(TypeError, "complex"):
        pynn.tensor(1j, dtype=pynn.float32)
    for fn in (pynn.zeros, pynn.ones, pynn.empty, pynn.rand, pynn.randn):
        assert fn(2, 3, dtype=C128).dtype == C128
    assert pynn.full((2,), 1j).tolist() == [1j, 1j] and pynn.full((2,), 1j).dtype == C64
    assert pynn.full_like(pynn.ones(2, dtype=C128), 2j).tolist() == [2j, 2j]
    assert pynn.eye(2, dtype=C64).tolist() == [[1, 0], [0, 1]]
    assert pynn.linspace(1j, 2, 3).tolist() == [1j, 1 + 0.5j, 2]
    z = pynn.zeros(2, dtype=C64).fill_(1 - 1j)
    z[0] = 3j
    assert z.tolist() == [3j, 1 - 1j]
    for bad in (lambda: pynn.arange(1j), lambda: pynn.ones(2).fill_(1j)):
        with raises(RuntimeError, "overflow"):
            bad()
    with raises(RuntimeError, "can't assign"):
        pynn.ones(2)[0] = 1j
    before = pynn.get_default_dtype()
    try:
        pynn.set_default_dtype(pynn.float64)
        assert pynn.tensor(1j).dtype == C128 and (pynn.ones(1, dtype=pynn.float32) * 1j).dtype == C64
        assert (pynn.arange(2) * 1j).dtype == C128
        with raises(TypeError, "floating"):
            pynn.set_default_dtype(C64)
    finally:
        pynn.set_default_dtype(before)


def test_random_parts():
    pynn.manual_seed(0)
    x = pynn.randn(20000, dtype=C128)
    assert abs(x.real.var().item() - 0.5) < 0.02 and abs(x.imag.var().item() - 0.5) < 0.02
    assert abs((x.real * x.imag).mean().item()) < 0.02
    u = pynn.rand(1000, dtype=C64)
    assert 0 <= u.real.min() and u.imag.max() < 1
    y = pynn.empty(1000, dtype=C64).normal_(3, 2)
    assert abs(y.real.mean().item() - 3) < 0.3 and abs(y.imag.mean().item() - 3) < 0.3


def test_conversion():
    x = pynn.tensor([1 + 2j])
    assert x.cdouble().dtype == C128 and pynn.ones(1).cfloat().dtype == C64
    assert pynn.ones(1).to(C64).tolist() == [1]
    assert complex(x) == 1 + 2j and complex(pynn.tensor(2.0)) == 2
    for cast in (float, int):
        with raises((RuntimeError, TypeError), "."):
            cast(x)
    assert bool(pynn.tensor(1j)) and not bool(pynn.tensor(0j))
    assert (
        C64.to_real() == pynn.float32
        and pynn.float64.to_complex() == C128
        and pynn.int64.to_real() == pynn.int64
    )
    with raises(RuntimeError, "Complex"):
        pynn.int64.to_complex()
    assert pynn.finfo(C64).eps == pynn.finfo(pynn.float32).eps and pynn.finfo(C128).dtype == "float64"
    a = carr(2, 3)
    t = pynn.from_numpy(a)
    t.mul_(1j)
    close(t, a)  # shared
    assert t.numpy().dtype == np.complex128
    assert pynn.from_dlpack(np.from_dlpack(t)).tolist() == t.tolist()
    assert pynn.allclose(t, t + 1e-12) and pynn.equal(t, t.clone()) and not pynn.isclose(t, t + 1j).any()
    assert not t.is_conj() and t.resolve_conj() is t and t.resolve_neg() is t
    assert pynn.result_type(pynn.ones(1, dtype=pynn.float64), 1j) == C128
    assert pynn.result_type(pynn.ones(1), 1j) == C64
    assert (pynn.tensor(1.0, dtype=pynn.float64) * pynn.ones(2, dtype=C64)).dtype == C64


def test_indexing_and_joining():
    x = tensor(carr(3, 4))
    a = carr(3, 4)
    close(pynn.cat([x, pynn.ones(1, 4)]), np.concatenate([a, np.ones((1, 4))]))
    close(x[[2, 0]], a[[2, 0]])
    close(x[x.abs() > 1], a[np.abs(a) > 1])
    close(pynn.stack([x, x * 1j]), np.stack([a, a * 1j]))
    assert gradcheck(lambda t: t[[0, 0, 2]] * t[1], [leaf(carr(3, 4))])
    assert gradcheck(lambda t, u: pynn.cat([t, u]), [leaf(carr(2)), leaf(arr(2))])
    at = pynn.tensor([0, 2, 0])
    assert gradcheck(
        lambda t, u: t.index_add(0, at, u, alpha=2j), [leaf(carr(3, 2)), leaf(carr(3, 2, seed=2))]
    )
    assert gradcheck(
        lambda t, u: t.index_put((at,), u, accumulate=True), [leaf(carr(3)), leaf(carr(3, seed=2))]
    )
    assert gradcheck(lambda t: t.roll(1, 0).flip(1).tril(), [leaf(carr(3, 3))])
    assert gradcheck(lambda t: t.diff(dim=0).unfold(0, 2, 1), [leaf(carr(4))])
    assert gradcheck(lambda t: pynn.trapezoid(t, dim=0), [leaf(carr(4))])


def test_modules_and_optimisers():
    pynn.manual_seed(0)
    layer = pynn.nn.Linear(3, 2, dtype=C64)
    target = tensor(carr(8, 2)).to(C64)
    x = tensor(carr(8, 3, seed=7)).to(C64)
    losses = []
    opt = pynn.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(50):
        loss = (layer(x) - target).abs().square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_saving(tmp_path):
    state = {"a": tensor(carr(2, 3)), "b": tensor(carr(2)).to(C64), "n": 1 + 2j}
    for name in ("x.pt", "x.pynn"):
        pynn.save(state, tmp_path / name)
        back = pynn.load(tmp_path / name)
        assert back["a"].dtype == C128 and pynn.equal(back["a"], state["a"])
        assert back["b"].dtype == C64 and pynn.equal(back["b"], state["b"]) and back["n"] == 1 + 2j


def test_anomaly_mode_sees_complex_nan():
    x = leaf(np.array([0j]))
    with pynn.autograd.detect_anomaly(check_nan=True), raises(RuntimeError, "nan"):
        (x.log() * 0).abs().sum().backward()


def test_real_values_stay_real():
    t = tensor(arr(3))
    assert_values(t.sgn(), np.sign(arr(3)))
    assert t.mean().dtype == pynn.float64


@pytest.mark.parametrize("dtype", [C64, C128])
def test_division_of_extremes(dtype):
    """By registers, and one by one where the divisor's square is 0 or out of range."""
    kind = np.complex64 if dtype == C64 else np.complex128
    tiny, huge = (1e-44, 3e38) if dtype == C64 else (1e-300, 1e300)
    b = np.array([1 + 2j, tiny, huge, tiny * 1j, huge * 1j, 0, np.inf, 3 - 4j, 1j] * 9, kind)[:79]
    a = np.roll(b, 2)
    for x, got in ((a, pynn.from_numpy(a) / pynn.from_numpy(b)), (kind(1), pynn.from_numpy(b).reciprocal())):
        x = np.broadcast_to(x, b.shape)
        for u, v, q in zip(x, b, got.numpy(), strict=True):
            if v == 0 or not np.isfinite([u, v]).all():
                assert np.isinf(q) or np.isnan(q) or q == 0, (u, v, q)
            else:
                with np.errstate(all="ignore"):
                    want = kind(np.clongdouble(u) / np.clongdouble(v))
                if np.isfinite(want):
                    assert abs(q - want) <= 4 * np.finfo(kind).eps * abs(want) + 2 * tiny, (u, v, q, want)
    plain = carr(37)
    close(2.0 / tensor(plain).to(dtype), 2.0 / tensor(plain).to(dtype).numpy().astype(np.complex128))
    close(
        tensor(plain).to(dtype) / (1 - 2j), tensor(plain).to(dtype).numpy().astype(np.complex128) / (1 - 2j)
    )


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 7, 20, 33])
def test_sums_of_few_columns(columns):
    """Columns are folded many rows at a time, and merged in halves."""
    for dtype in (C64, C128):
        x = tensor(carr(1000, columns)).to(dtype)
        for part in (x, x[:900]):
            close(part.sum(0), part.numpy().astype(np.complex128).sum(0), factor=100)
    x = tensor(arr(1000, columns), pynn.float32)
    np.testing.assert_allclose(x.sum(0).numpy(), x.double().numpy().sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(x.amax(0).numpy(), x.numpy().max(0))
