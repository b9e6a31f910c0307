"""ctc_loss against a sum over all paths, and its gradient against finite differences."""

import itertools

import numpy as np
from helpers import arr, raises, tensor, to_numpy

import pynn

F = pynn.nn.functional


def by_enumeration(log_probs, target, blank):
    """-log of the sum of the probabilities of all paths that collapse to the target."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        labels = [k for k, _ in itertools.groupby(path) if k != blank]
        if labels == list(target):
            total += np.exp(sum(log_probs[t, k] for t, k in enumerate(path)))
    return -np.log(total) if total else np.inf


def test_values_and_gradients():
    x = arr(4, 5, 3)
    targets = np.array([[1, 2, 1], [1, 1, 0], [2, 0, 0], [0, 0, 0], [1, 2, 2]])
    target_lengths, input_lengths = [3, 2, 1, 0, 3], [4, 4, 2, 3, 3]

    def loss(x):
        n = x.shape[1]
        labels = pynn.from_numpy(targets[:n].copy())
        return F.ctc_loss(x.log_softmax(-1), labels, input_lengths[:n], target_lengths[:n], reduction="none")

    leaf = tensor(x, requires_grad=True)
    logs = to_numpy(leaf.log_softmax(-1))
    want = [
        by_enumeration(logs[:t, n], targets[n, :k], 0)
        for n, (t, k) in enumerate(zip(input_lengths, target_lengths, strict=True))
    ]
    got = loss(leaf)
    np.testing.assert_allclose(to_numpy(got), want, rtol=1e-12)
    assert want[-1] == np.inf
    assert pynn.autograd.gradcheck(loss, (tensor(x[:, :4], requires_grad=True),))
    joined = pynn.tensor([1, 2, 1, 1, 1, 2])
    again = F.ctc_loss(leaf[:, :3].log_softmax(-1), joined, [4, 4, 2], [3, 2, 1], reduction="none")
    np.testing.assert_allclose(to_numpy(again), want[:3], rtol=1e-12)


def test_targets_of_several_registers():
    def recursion(x, target):
        path = [0, *itertools.chain.from_iterable((k, 0) for k in target)]
        p = np.zeros(len(path))
        p[:2] = np.exp(x[0, path[:2]])
        for row in x[1:]:
            skip = [s > 1 and path[s] not in (0, path[s - 2]) for s in range(len(path))]
            p = np.exp(row[path]) * (p + np.r_[0, p[:-1]] + np.r_[0, 0, p[:-2]][: len(path)] * skip)
        return -np.log(p[-2:].sum())

    rng = np.random.default_rng(0)
    lengths = [1, 3, 4, 7, 8, 11, 15]
    targets = rng.integers(1, 4, (len(lengths), max(lengths)))
    x = arr(40, len(lengths), 9)
    logs = x - np.log(np.exp(x).sum(-1, keepdims=True))

    def loss(x):
        times = [40] * (len(lengths) - 1) + [33]
        return F.ctc_loss(x.log_softmax(-1), pynn.from_numpy(targets), times, lengths, reduction="none")

    want = [
        recursion(logs[: 33 if n == len(lengths) - 1 else 40, n], targets[n, :k])
        for n, k in enumerate(lengths)
    ]
    np.testing.assert_allclose(to_numpy(loss(tensor(x))), want, rtol=1e-11)
    assert pynn.autograd.gradcheck(loss, (tensor(x, requires_grad=True),))


def test_long_sequences_do_not_underflow():
    n = 500
    x = tensor(arr(n, 1, 20, low=-30, high=30), pynn.float32, requires_grad=True)
    loss = F.ctc_loss(x.log_softmax(-1), pynn.arange(1, 20).repeat(5).unsqueeze(0), [n], [95])
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all() and x.grad.any()


def test_second_derivatives_are_refused():
    x = tensor(arr(4, 1, 3), requires_grad=True)
    with raises(RuntimeError, "ctc_loss: derivative of the gradient is not implemented"):
        pynn.autograd.grad(F.ctc_loss(x, pynn.tensor([[1]]), [4], [1]), x, create_graph=True)
