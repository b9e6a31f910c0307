"""Any number of threads gives the same bits; fork, foreign threads and changing the number are survived."""

import os
import threading

import pytest
from helpers import arr, ints, run_python, same_bits, tensor

import pynn

X = tensor(arr(300, 500), pynn.float32)
Y = tensor(arr(500, 200, seed=1), pynn.float32)
LONG = tensor(arr(1_000_003), pynn.float32)
INDEX = tensor(ints(5000, low=0, high=300))

WORK = {
    "sum": lambda: LONG.sum(),
    "sum of rows": lambda: X.sum(1),
    "sum of columns": lambda: X.sum(0),
    "sum of half": lambda: LONG.half().sum().float(),
    "mean": lambda: LONG.mean(),
    "var": lambda: LONG.var(),
    "var of columns": lambda: X.var(0),
    "norm": lambda: LONG.norm(),
    "prod": lambda: (1 + LONG * 1e-6).prod(),
    "logsumexp": lambda: pynn.logsumexp(LONG, 0),
    "max": lambda: LONG.max(),
    "argmax": lambda: LONG.argmax(),
    "argmin of columns": lambda: X.argmin(0),
    "cumsum": lambda: LONG.cumsum(0),
    "cumsum of columns": lambda: X.cumsum(0),
    "softmax": lambda: pynn.softmax(X, 1),
    "softmax of columns": lambda: pynn.log_softmax(X, 0),
    "matmul": lambda: X @ Y,
    "matmul transposed": lambda: Y.t() @ X.t(),
    "matvec": lambda: X @ Y[:, 0],
    "vecmat": lambda: X[:, 0] @ X,
    "bmm": lambda: pynn.bmm(X.view(30, 10, 500), Y.expand(30, 500, 200)),
    "dot": lambda: pynn.dot(LONG, LONG),
    "exp": lambda: LONG.exp(),
    "strided add": lambda: X.t() + X.t()[:1],
    "cast": lambda: LONG.double(),
    "cast to uint8": lambda: LONG.to(pynn.uint8),
    "fill": lambda: pynn.full((2_000_003,), 0.5),
    "expanded": lambda: X[:, :1].expand(300, 5000).contiguous(),
    "sum of columns of half": lambda: X.bfloat16().sum(0).float(),
    "nansum": lambda: LONG.nansum(),
    "tril": lambda: X.tril(),
    "gelu of half": lambda: pynn.nn.functional.gelu(LONG.bfloat16()).float(),
    "lgamma": lambda: LONG.lgamma(),
    "searchsorted": lambda: pynn.searchsorted(LONG.sort().values[:5000], LONG[:100_001]),
    "sort": lambda: X.sort(1).values,
    "index": lambda: X[INDEX],
    "index_add": lambda: pynn.zeros(300, 500).index_add(0, INDEX, X[INDEX]),
    "index_add to few places": lambda: pynn.zeros(300, 500).index_add(0, INDEX // 100, X[INDEX]),
    "assignment to rows that repeat": lambda: pynn.zeros(300, 500).index_put((INDEX,), X[INDEX]),
    "scatter_add": lambda: pynn.zeros(300).scatter_add(0, INDEX, X[INDEX, 0]),
    "nonzero": lambda: (LONG > 1).nonzero(),
    "layer_norm": lambda: pynn.nn.functional.layer_norm(X, (500,)),
    "cross_entropy": lambda: pynn.nn.functional.cross_entropy(X, INDEX[:300]),
    "randn": lambda: pynn.randn(100_000, generator=pynn.Generator().manual_seed(1)),
    "dropout": lambda: (pynn.manual_seed(2), pynn.nn.functional.dropout(LONG, 0.3))[1],
}


@pytest.mark.parametrize("name", WORK)
def test_same_bits_for_any_number_of_threads(name, threads):
    results = []
    for n in (1, 2, 5):
        threads(n)
        assert pynn.get_num_threads() == n
        results.append(WORK[name]())
    assert same_bits(results[0], results[1]) and same_bits(results[0], results[2])


def test_training_gives_the_same_bits(threads):
    results = []
    for n in (1, 2, 5):
        threads(n)
        pynn.manual_seed(0)
        w1 = (pynn.randn(128, 784) * 0.05).requires_grad_()
        w2 = (pynn.randn(10, 128) * 0.1).requires_grad_()
        x, t = pynn.randn(64, 784), pynn.randint(0, 10, (64,))
        for _ in range(3):
            loss = pynn.nn.functional.cross_entropy(pynn.relu(x @ w1.t()) @ w2.t(), t)
            loss.backward()
            with pynn.no_grad():
                for w in (w1, w2):
                    w -= 0.1 * w.grad
                    w.grad = None
        results.append((loss.detach(), w1.detach(), w2.detach()))
    for other in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True))


def test_many_python_threads_at_once(threads):
    threads(2)
    expected = X @ Y
    errors = []

    def work():
        for _ in range(20):
            if not same_bits(X @ Y, expected) or not same_bits(X.sum(1), sums):
                errors.append("differs")

    sums = X.sum(1)
    pool = [threading.Thread(target=work) for _ in range(5)]
    for t in pool:
        t.start()
    for t in pool:
        t.join()
    assert not errors


def test_changing_the_number_from_another_thread(threads):
    def change():
        for n in (1, 3, 2, 4) * 10:
            pynn.set_num_threads(n)

    t = threading.Thread(target=change)
    t.start()
    expected = LONG.double().sum().item()
    for _ in range(20):
        assert LONG.double().sum().item() == expected
    t.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
def test_fork_after_parallel_work():
    code = """
import os, sys, warnings
import pynn
warnings.simplefilter("ignore")
pynn.set_num_threads(4)
x = pynn.randn(400, 400)
expected = (x @ x).sum().item(), x.exp().sum().item()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        same = ((x @ x).sum().item(), x.exp().sum().item()) == expected
        y = x.clone().requires_grad_()
        (y @ y).sum().backward()
        inner = os.fork()
        if inner == 0:
            os._exit(0 if (x @ x).sum().item() == expected[0] else 5)
        status = os.waitpid(inner, 0)[1]
        os._exit(0 if same and y.grad is not None and status == 0 else 3)
    assert os.waitpid(pid, 0)[1] == 0
assert ((x @ x).sum().item(), x.exp().sum().item()) == expected
print("done")
"""
    status, output = run_python(code, timeout=60)
    assert status == 0 and "done" in output, output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
def test_multiprocessing_by_fork():
    code = """
import multiprocessing, pynn
pynn.set_num_threads(2)
x = pynn.randn(300, 300)
x @ x
def work(seed):
    pynn.manual_seed(seed)
    return float((pynn.randn(200, 200) @ pynn.randn(200, 200)).sum())
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, [1, 2, 1]) == [work(1), work(2), work(1)]
    print("done")
"""
    status, output = run_python(code, timeout=60)
    assert status == 0 and "done" in output, output


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "PYNN_NUM_THREADS"])
def test_environment(variable):
    if variable.startswith("PYNN") and pynn.__name__ != "pynn":
        pytest.skip("pynn's own variable")
    env = {"OMP_NUM_THREADS": "7", variable: "3"}
    status, output = run_python("import pynn; print(pynn.get_num_threads())", env)
    assert status == 0 and output.strip() == "3"


def test_exit_while_other_threads_compute():
    code = """
import threading, pynn
pynn.set_num_threads(3)
x = pynn.randn(200, 200)
def loop():
    while True:
        x @ x
threading.Thread(target=loop, daemon=True).start()
for _ in range(20):
    x @ x
"""
    for _ in range(3):
        status, output = run_python(code, timeout=60)
        assert status == 0, output


EXIT_IN = {
    "hooks": "y = w @ x; y.register_hook(lambda g: g * 1); y.grad_fn.register_hook(lambda a, b: None); y.sum().backward()",
    "function": "Double.apply(w @ x).sum().backward()",
    "saved": "with pynn.autograd.graph.saved_tensors_hooks(lambda t: t * 1, lambda t: t): (w * w).sum().backward()",
    "lists": "x.tolist()",
}


@pytest.mark.parametrize("name", EXIT_IN)
def test_exit_while_other_threads_call_back(name):
    """CPython ends such threads by unwinding their stacks, our frames included."""
    code = f"""
import threading, time, pynn
x = pynn.randn(200, 200)
class Double(pynn.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a * 2
    @staticmethod
    def backward(ctx, g):
        return g * 2
def loop():
    while True:
        w = pynn.randn(200, 200, requires_grad=True)
        {EXIT_IN[name]}
for _ in range(3):
    threading.Thread(target=loop, daemon=True).start()
time.sleep(0.1)
"""
    status, output = run_python(code, timeout=60)
    assert status == 0, output
