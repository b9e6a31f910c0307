"""Weights that inference keeps ready for products: the same bits, and every write is seen."""

import ctypes
import threading

import numpy as np
import pytest
from helpers import same_bits, splits_products, to_numpy

import pynn

linear = pynn.nn.functional.linear

SHAPES = [
    (64, 128, 784),
    (256, 128, 784),
    (33, 31, 100),
    (48, 100, 385),
    (2100, 65, 33),
    (17, 250, 250),
    (128, 400, 500),
]


def operands(m, n, k):
    pynn.manual_seed(0)
    return pynn.randn(m, k), pynn.randn(n, k), pynn.randn(n)


def mm(x, w):
    return x @ w.t()


def repeated(x, w, *args, of=linear, **options):
    """Of three calls, of which the first meets the weight, the second makes it ready, and the third uses it only."""
    with pynn.no_grad():
        results = [of(x, w, *args, **options) for _ in range(3)]
    assert all(same_bits(results[0], y) for y in results[1:])
    return results[0]


def check(x, w, y):
    want = to_numpy(x).astype(np.float64) @ to_numpy(w).astype(np.float64).T
    room = np.abs(to_numpy(x)).astype(np.float64) @ np.abs(to_numpy(w)).astype(np.float64).T
    assert (np.abs(to_numpy(y) - want) <= 16 * 2.0**-24 * room).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_repeated_calls(shape, threads):
    pynn.set_num_threads(threads)
    x, w, b = operands(*shape)
    plain = repeated(x, w)
    check(x, w, plain)
    with_bias = repeated(x, w, b, relu=True)
    assert np.allclose(
        to_numpy(with_bias), np.maximum(to_numpy(plain) + to_numpy(b), 0), rtol=1e-4, atol=1e-4
    )
    other = w.t().contiguous().t()  # the weight's columns are contiguous
    assert np.allclose(to_numpy(repeated(x, other)), to_numpy(plain), rtol=1e-4, atol=1e-3)
    assert same_bits(linear(x, w), plain)
    check(x, w, repeated(x, w, of=mm))


def test_several_batches_and_layers_share_one_weight():
    x, w, _ = operands(96, 128, 256)
    whole = repeated(x, w)
    with pynn.no_grad():
        for rows in (96, 64, 40, 24, 3):
            check(x[:rows], w, linear(x[:rows], w))
            assert np.allclose(to_numpy(linear(x[:rows], w)), to_numpy(whole[:rows]), rtol=1e-4, atol=1e-4)
        halves = [[linear(x, part) for part in (w[:64], w[64:])] for _ in range(3)]  # views of one block
        for top, bottom in halves:
            check(x, w, pynn.cat([top, bottom], 1))


def by_numpy(w):
    w.detach().numpy()[3] += 1


HELD = []


def by_held_array(w):
    HELD.append(w.detach().numpy())
    HELD[-1][5] *= 2


def by_dlpack(w):
    np.from_dlpack(w.detach())[7] -= 3


def by_address(w):
    ctypes.cast(w.data_ptr(), ctypes.POINTER(ctypes.c_float))[11] = 5.0


def by_storage_address(w):
    ctypes.cast(w.untyped_storage().data_ptr(), ctypes.POINTER(ctypes.c_float))[12] = 6.0


WRITES = {
    "in place": lambda w: w.mul_(2),
    "index": lambda w: w.__setitem__((0, 0), 9.0),
    "view": lambda w: w[1:3].zero_(),
    "data": lambda w: w.data.add_(1),
    "data of data": lambda w: w.data.data[2].fill_(4),
    "detach": lambda w: w.detach().neg_(),
    "copy": lambda w: w.copy_(pynn.ones(w.shape)),
    "out": lambda w: pynn.add(w, 1, out=w),
    "init": lambda w: pynn.nn.init.uniform_(w),
    "set": lambda w: setattr(w, "data", pynn.randn(w.shape)),
    "storage": lambda w: w.untyped_storage().fill_(0),
    "numpy": by_numpy,
    "held array": by_held_array,
    "dlpack": by_dlpack,
    "address": by_address,
    "address of storage": by_storage_address,
}


@pytest.mark.parametrize("of", [linear, mm])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_write_is_seen(write, of):
    x, w, _ = operands(64, 128, 128)
    before = repeated(x, w, of=of)
    for _ in range(2):
        with pynn.no_grad():
            write(w)
        after = repeated(x, w, of=of)
        check(x, w, after)
        assert not same_bits(before, after)
        before = repeated(x, w + 0, of=of)
        assert same_bits(before, after)
        w.sub_(pynn.rand(w.shape))
        before = repeated(x, w, of=of)
        check(x, w, before)


@pytest.mark.skipif(not splits_products(), reason="products go by AMX alone where weights are kept")
@pytest.mark.parametrize("of", [linear, mm])
def test_what_is_kept_is_used(of):
    """A write past everything that counts them shows which calls read the weight itself."""
    x, w, _ = operands(64, 128, 128)
    address = pynn._C._storage(w)[0]
    values = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
    with pynn.no_grad():
        for _ in range(2):
            kept = of(x, w)
        values[0] += 1.0
        assert same_bits(of(x, w), kept)
        with pynn.enable_grad():  # nothing is kept where there is a graph
            assert not same_bits(of(x.clone().requires_grad_(), w).detach(), kept)
        w.mul_(1)
        assert not same_bits(of(x, w), kept)
        large = pynn.randn(1024, 1024)  # of which parts would come from beyond L2
        y = pynn.randn(64, 1024)
        before = [of(y, large) for _ in range(3)][-1]
        ctypes.cast(pynn._C._storage(large)[0], ctypes.POINTER(ctypes.c_float))[0] += 1.0
        assert not same_bits(of(y, large), before)


@pytest.mark.skipif(not splits_products(), reason="products go by AMX alone where weights are kept")
def test_backward_keeps_nothing():
    x, w, _ = operands(64, 128, 128)
    x.requires_grad_()
    y, g = linear(x, w), pynn.randn(64, 128)
    before = pynn.memory_allocated()
    grads = [pynn.autograd.grad(y, x, g, retain_graph=True)[0] for _ in range(3)]
    assert same_bits(grads[0], grads[2])
    del grads
    assert pynn.memory_allocated() == before


def test_an_array_that_is_held_writes_later():
    x, w, _ = operands(64, 128, 128)
    array = w.numpy()
    for value in (1.0, 2.0):
        array[:] = value
        check(x, w, repeated(x, w))
    del array
    check(x, w, repeated(x, w))


def test_training_between_inferences():
    pynn.manual_seed(1)
    net = pynn.nn.Sequential(pynn.nn.Linear(128, 96), pynn.nn.ReLU(), pynn.nn.Linear(96, 64))
    optimizer = pynn.optim.Adam(net.parameters())
    x = pynn.randn(64, 128)
    for _ in range(4):
        with pynn.no_grad():
            seen = [net(x) for _ in range(3)]
        y = net(x)  # with a graph
        assert all(same_bits(s, seen[0]) for s in seen) and pynn.allclose(seen[0], y, rtol=1e-5, atol=1e-6)
        optimizer.zero_grad()
        y.square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e-44, 3e38])
def test_values_that_have_no_parts(value):
    x, w, _ = operands(64, 96, 128)
    plain = to_numpy(repeated(x, w))
    w[40, 77] = value
    got = to_numpy(repeated(x, w))
    with np.errstate(all="ignore"):
        want = (to_numpy(x).astype(np.float64) @ to_numpy(w).astype(np.float64).T).astype(np.float32)
    assert np.array_equal(np.isnan(got), np.isnan(want)) and np.array_equal(np.isinf(got), np.isinf(want))
    finite = np.isfinite(want)
    assert np.allclose(got[finite], want[finite], rtol=3e-6, atol=3e-5)
    assert (got[:, :32] == plain[:, :32]).all()  # columns of other blocks, to the bit


def test_threads_share_a_weight():
    x, w, _ = operands(64, 128, 256)
    with pynn.no_grad():
        want = linear(x, w + 0)
    wrong = []

    def work():
        with pynn.no_grad():
            for _ in range(50):
                if not same_bits(linear(x, w), want):
                    wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert not wrong


def test_saved_and_copied_weights():
    import copy

    x, w, _ = operands(64, 128, 128)
    want = repeated(x, w)
    other = copy.deepcopy(w)
    other += 1
    assert same_bits(repeated(x, w), want)
    check(x, other, repeated(x, other))
    w.resize_(128, 64)
    check(x[:, :64], w, repeated(x[:, :64], w))


def test_memory_goes_with_the_weight_and_with_its_values():
    x, w, _ = operands(64, 128, 784)
    repeated(x, w)
    kept = pynn.memory_allocated()
    w.mul_(2)
    with pynn.no_grad():
        linear(x, w)
    changed = pynn.memory_allocated()
    repeated(x, w)
    assert pynn.memory_allocated() == kept and changed <= kept
    held = kept - changed
    assert held <= 640 << 10
    del w
    assert pynn.memory_allocated() <= changed - 4 * 128 * 784
