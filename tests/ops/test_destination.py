"""In-place forms and out= compute where their result belongs, and only where nothing is lost by it."""

import numpy as np
import pytest

import pynn
from pynn import _C

_nn = _C._nn
N = 1 << 19

MAPS = {
    "square": (), "round": (), "pow": (2.5,), "clamp": (0.2, 0.5), "clip": (0.2, 0.5), "clamp_min": (0.3,),
    "clamp_max": (0.3,), "remainder": (0.7,), "fmod": (0.7,), "floor_divide": (0.3,), "nan_to_num": (), "sgn": (),
    "erfinv": (), "lgamma": (), "exp": (), "neg": (), "add": (0.5,), "mul": (0.5,), "sub": (0.5,),
}  # fmt: skip
OF_TENSORS = {
    "atan2": 1,
    "hypot": 1,
    "copysign": 1,
    "pow": 1,
    "fmod": 1,
    "addcmul": 2,
    "addcdiv": 2,
    "lerp": 2,
}
ACTIVATIONS = {
    "silu": (),
    "mish": (), "leaky_relu": (0.2,), "elu": (1.3,), "hardsigmoid": (), "hardswish": (), "hardtanh": (0.2, 0.6),
    "threshold": (0.4, -2.0), "relu": (),
}  # fmt: skip


def numbers(*shape, seed=0):
    return pynn.tensor(np.random.default_rng(seed).uniform(0.05, 0.95, shape).astype(np.float32))


def forms():
    """Of each map: a name, the plain form, the in-place form, and how many further tensors both take."""
    for name, args in MAPS.items():
        plain, write = getattr(pynn.Tensor, name), getattr(pynn.Tensor, name + "_")
        yield name, lambda x, f=plain, a=args: f(x, *a), lambda x, f=write, a=args: f(x, *a), 0
    for name, count in OF_TENSORS.items():
        yield name + " of tensors", getattr(pynn.Tensor, name), getattr(pynn.Tensor, name + "_"), count
    for name, args in ACTIVATIONS.items():
        plain, write = getattr(_nn, name), getattr(_nn, name + "_")
        yield name, lambda x, f=plain, a=args: f(x, *a), lambda x, f=write, a=args: f(x, *a), 0


FORMS = [pytest.param(plain, write, n, id=name) for name, plain, write, n in forms()]


def taken(f):
    """Bytes that f() has at most beside what was there before it."""
    pynn.reset_peak_memory_stats()
    before = pynn.memory_stats()["allocated"]
    f()
    return pynn.memory_stats()["peak_allocated"] - before


@pytest.mark.parametrize("plain, write, n", FORMS)
def test_in_place_needs_no_memory(plain, write, n):
    x, more = numbers(N), [numbers(N, seed=1 + i) for i in range(n)]
    want, at = plain(x, *more).numpy(), x.data_ptr()
    assert taken(lambda: write(x, *more)) < N  # a result of its own would be 4 N
    assert x.data_ptr() == at
    np.testing.assert_array_equal(x.numpy(), want)


@pytest.mark.parametrize("plain, write, n", FORMS)
def test_in_place_on_views(plain, write, n):
    base = numbers(12, 10, 8)
    for view in (lambda t: t[2:9, ::3], lambda t: t.permute(2, 0, 1), lambda t: t[3], lambda t: t[..., 0]):
        x = view(base.clone())
        want = plain(x.clone(), *[numbers(*x.shape, seed=1 + i) for i in range(n)])
        write(x, *[numbers(*x.shape, seed=1 + i) for i in range(n)])
        np.testing.assert_array_equal(x.numpy(), want.numpy())


@pytest.mark.parametrize("plain, write, n", FORMS)
def test_in_place_gradients(plain, write, n):
    def gradients(f):
        leaves = [numbers(5, 7, seed=i).requires_grad_() for i in range(n + 1)]
        y = f(leaves[0] * 1.0, *leaves[1:])
        (y * numbers(5, 7, seed=9)).sum().backward()
        return [y, *(leaf.grad for leaf in leaves)]

    for got, want in zip(gradients(write), gradients(plain), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-6)


def test_what_backward_needs_is_watched():
    x = numbers(9).requires_grad_()
    y = x.exp()  # its derivative reads y
    y.clamp_(0, 1.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    z = (x * 2).sgn_().mul_(3.0)  # nothing of it is read
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 0)


def test_hooks_for_saved_tensors_make_their_own():
    x = numbers(9).requires_grad_()
    power = pynn.full((9,), 3.0, dtype=pynn.float64)
    with pynn.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        y = x * 1.0
        y.pow_(power)  # float64, cast into y: until then nothing has taken y's memory
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * x.detach().numpy() ** 2, rtol=1e-6)


def test_versions_count_up():
    x = numbers(4)
    for f in (lambda: x.clamp_(0, 1), lambda: x.pow_(2), lambda: pynn.exp(numbers(4), out=x)):
        before = x._version
        f()
        assert x._version > before


def test_in_place_through_a_view_of_the_graph():
    x = numbers(4, 6).requires_grad_()
    y = x * 1.0
    y[:, 1:3].clamp_(0.3, 0.6)
    _nn.hardtanh_(y[:, 3:], 0.3, 0.6)
    y.sum().backward()
    inside = (x.detach().numpy() > 0.3) & (x.detach().numpy() < 0.6)
    inside[:, 0] = True
    np.testing.assert_array_equal(x.grad.numpy(), inside)


def test_bounds_without_dims():
    x = pynn.tensor(0.9)
    x.clamp_(pynn.tensor(0), pynn.tensor(1))
    assert x.item() == pytest.approx(0.9)
    i = pynn.tensor(7)
    i.clamp_(pynn.tensor(2, dtype=pynn.int8), pynn.tensor(5, dtype=pynn.int8))
    assert i.item() == 5
    x.copysign_(-2.0)
    assert x.item() == pytest.approx(-0.9)


def test_channels_last_stays():
    x = numbers(2, 5, 4, 4).contiguous(memory_format=pynn.channels_last)
    want = x.clamp(0.2, 0.5).numpy()
    assert taken(lambda: x.clamp_(0.2, 0.5)) < x.nbytes
    assert x.is_contiguous(memory_format=pynn.channels_last)
    np.testing.assert_array_equal(x.numpy(), want)


def test_triangles_of_bools_and_batches():
    b = numbers(6, 6) > 0.5
    want = np.tril(b.numpy())
    np.testing.assert_array_equal(b.tril_().numpy(), want)
    x = numbers(3, 5, 4)
    want = np.triu(x.numpy(), 1)
    np.testing.assert_array_equal(x.triu_(1).numpy(), want)
    x = numbers(5, 5)
    want = np.tril(x.numpy().T)
    np.testing.assert_array_equal(x.t().tril_().numpy(), want)


def test_other_types_in_place():
    i = pynn.arange(9)
    np.testing.assert_array_equal(i.pow_(2).numpy(), np.arange(9) ** 2)
    u = pynn.arange(9, dtype=pynn.uint8)
    np.testing.assert_array_equal(u.clamp_(2, 6).numpy(), np.arange(9).clip(2, 6))
    x = numbers(9)
    want = x.numpy() > 0.5
    np.testing.assert_array_equal(x.gt_(0.5).numpy(), want)  # a bool, written to floats
    c = pynn.complex(numbers(9), numbers(9, seed=1))
    want = c.numpy() / (1 + np.exp(-c.numpy()))
    np.testing.assert_allclose(_nn.silu_(c).numpy(), want, rtol=1e-6)
    h = numbers(9).to(pynn.bfloat16)
    want = pynn.nn.functional.elu(h).float().numpy()
    np.testing.assert_array_equal(_nn.elu_(h).float().numpy(), want)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int64", "bool"])
@pytest.mark.parametrize("n", [1, 5, 63, 2049, 70001])
def test_comparisons_of_numbers(dtype, n):
    """In place and with out= the result is of the destination's type."""
    rng = np.random.default_rng(n)
    a, b = (rng.integers(-2, 3, 2 * n).astype(dtype) for _ in range(2))
    for name, f in [
        ("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal), ("gt", np.greater),
        ("ge", np.greater_equal), ("logical_and", np.logical_and), ("logical_xor", np.logical_xor),
    ]:  # fmt: skip
        for part in slice(n), slice(None, None, 2):
            x, y = pynn.tensor(a)[part], pynn.tensor(b)[part]
            want = f(a[part], b[part])
            out = pynn.zeros(n)
            getattr(pynn, name)(x, y, out=out)
            np.testing.assert_array_equal(out.numpy(), want.astype(np.float32))
            got = getattr(x, name + "_")(y)
            assert got is x and str(x.dtype).endswith(dtype)
            np.testing.assert_array_equal(x.numpy(), want.astype(dtype))
    x = pynn.tensor(a.astype(np.float32))
    assert x.ne_(x).sum() == 0
    wide = pynn.empty(0)
    pynn.lt(pynn.tensor([[1.0], [3.0]]), pynn.tensor([2.0, 4.0]), out=wide)
    np.testing.assert_array_equal(wide.numpy(), [[1, 1], [0, 1]])


OUT = {
    "add": lambda x, y, **k: pynn.add(x, y, **k),
    "exp": lambda x, y, **k: pynn.exp(x, **k),
    "matmul": lambda x, y, **k: pynn.matmul(x, y, **k),
    "cat": lambda x, y, **k: pynn.cat([x[:300], y[:-300]], **k),
    "cumsum": lambda x, y, **k: pynn.cumsum(x, 0, **k),
    "where": lambda x, y, **k: pynn.where(x > y, x, y, **k),
    "softmax": lambda x, y, **k: pynn.softmax(x, 1, **k),
    "round to decimals": lambda x, y, **k: pynn.round(x, decimals=2, **k),
    "logit": lambda x, y, **k: pynn.logit(x, 1e-3, **k),
}


@pytest.mark.parametrize("f", OUT.values(), ids=OUT)
def test_out_needs_no_memory(f):
    x, y, out = numbers(600, 600), numbers(600, 600, seed=1), pynn.full((600, 600), 7.0)
    want, at = f(x, y).numpy(), out.data_ptr()
    pynn.set_num_threads(1)  # each thread of a product has room for copies
    assert taken(lambda: f(x, y, out=out)) < out.nbytes or f in (OUT["round to decimals"], OUT["logit"])
    assert out.data_ptr() == at
    np.testing.assert_array_equal(out.numpy(), want)
    np.testing.assert_array_equal(f(x, y, out=pynn.empty(0)).numpy(), want)  # takes the result's size
    np.testing.assert_array_equal(f(x, y, out=out.t()).numpy(), want)
    np.testing.assert_array_equal(f(x, y, out=out.double()).numpy(), want)


@pytest.mark.parametrize("f", OUT.values(), ids=OUT)
def test_out_that_is_read(f):
    x, y = numbers(600, 600), numbers(600, 600, seed=1)
    want = f(x, y).numpy()
    for out in (0, 1):
        inputs = [x.clone(), y.clone()]
        np.testing.assert_array_equal(f(*inputs, out=inputs[out]).numpy(), want)
        inputs = [x.clone(), y.clone()]  # the same memory by way of NumPy: a storage of its own
        np.testing.assert_array_equal(f(*inputs, out=pynn.from_numpy(inputs[out].numpy())).numpy(), want)
        inputs = [x.clone(), y.clone()]
        np.testing.assert_array_equal(f(*inputs, out=inputs[out].t()).numpy(), want)


def test_out_is_left_alone_where_it_is_refused():
    x, out = numbers(9).requires_grad_(), pynn.full((9,), 7.0)
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        pynn.exp(x, out=out)
    with pytest.raises(RuntimeError):
        pynn.matmul(numbers(3, 4), numbers(5, 6), out=out)
    np.testing.assert_array_equal(out.numpy(), 7.0)
    pynn.zeros(9)  # nothing waits for a destination any more
    np.testing.assert_array_equal(out.numpy(), 7.0)
