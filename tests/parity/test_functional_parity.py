"""autograd.functional, func, testing and checkpoint beside PyTorch's."""

import numpy as np
import pytest

import pynn
import pynn.autograd.functional
import pynn.func
import pynn.testing
import pynn.utils.checkpoint

torch = pytest.importorskip("torch")
pytest.importorskip("torch.utils.checkpoint")

RNG = np.random.default_rng(0)
A, B, V = (RNG.standard_normal(s) for s in ((3,), (2, 3), (2,)))


def compare(ours, theirs):
    if isinstance(theirs, (tuple, list)):
        assert type(ours) is type(theirs) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            compare(a, b)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            compare(ours[key], theirs[key])
    elif isinstance(theirs, torch.Tensor):
        assert tuple(ours.shape) == tuple(theirs.shape) and ours.requires_grad == theirs.requires_grad
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-12)
    else:
        assert ours == theirs


def both(f):
    """f(framework, tensors of it) for both, compared; errors by their class."""
    results = []
    for fw in (torch, pynn):
        make = lambda a, fw=fw: fw.tensor(a.tolist(), dtype=fw.float64)
        try:
            results.append(f(fw, make))
        except Exception as e:
            results.append(e)
    theirs, ours = results
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert isinstance(ours, Exception) and isinstance(theirs, type(ours)), (ours, theirs)
    else:
        compare(ours, theirs)


def two(fw):
    return lambda a, b: ((a * b).sum(1).sin(), (a**2).sum() + b.sum())


def number(fw):
    return lambda a, b: (a.sin() * b.exp()).sum() ** 2


FUNCTIONAL = {
    "vjp": lambda fw, t: fw.autograd.functional.vjp(
        two(fw), (t(A), t(B)), (t(V), fw.ones((), dtype=fw.float64))
    ),
    "vjp of one number": lambda fw, t: fw.autograd.functional.vjp(lambda a: (a**3).sum(), t(A)),
    "vjp without v": lambda fw, t: fw.autograd.functional.vjp(lambda a: a**3, t(A)),
    "vjp of a wrong v": lambda fw, t: fw.autograd.functional.vjp(lambda a: a**3, t(A), t(V)),
    "vjp, unused": lambda fw, t: fw.autograd.functional.vjp(lambda a, b: (a**3).sum(), (t(A), t(B))),
    "vjp, unused, strict": lambda fw, t: fw.autograd.functional.vjp(
        lambda a, b: (a**3).sum(), (t(A), t(B)), strict=True
    ),
    "vjp, graph": lambda fw, t: fw.autograd.functional.vjp(
        lambda a: (a**3).sum(), t(A).requires_grad_(), create_graph=True
    ),
    "jvp": lambda fw, t: fw.autograd.functional.jvp(two(fw), (t(A), t(B)), (t(A), t(B) * 2)),
    "jacobian": lambda fw, t: fw.autograd.functional.jacobian(two(fw), (t(A), t(B))),
    "jacobian of one": lambda fw, t: fw.autograd.functional.jacobian(lambda a: a.exp(), t(B)),
    "jacobian, constant": lambda fw, t: fw.autograd.functional.jacobian(lambda a: t(B), t(A)),
    "jacobian, constant, strict": lambda fw, t: fw.autograd.functional.jacobian(
        lambda a: t(B), t(A), strict=True
    ),
    "jacobian, graph": lambda fw, t: fw.autograd.functional.jacobian(
        lambda a: a**3, t(A).requires_grad_(), create_graph=True
    ),
    "jacobian, vectorized": lambda fw, t: fw.autograd.functional.jacobian(
        two(fw), (t(A), t(B)), vectorize=True
    ),
    "hessian": lambda fw, t: fw.autograd.functional.hessian(number(fw), (t(A), t(B))),
    "hessian of one": lambda fw, t: fw.autograd.functional.hessian(lambda a: (a**3).prod(), t(A)),
    "hessian, linear": lambda fw, t: fw.autograd.functional.hessian(lambda a: a.sum(), t(A)),
    "hessian, half used": lambda fw, t: fw.autograd.functional.hessian(
        lambda a, b: (a**2).sum(), (t(A), t(B))
    ),
    "hessian of several": lambda fw, t: fw.autograd.functional.hessian(lambda a: a**2, t(A)),
    "vhp": lambda fw, t: fw.autograd.functional.vhp(number(fw), (t(A), t(B)), (t(A), t(B))),
    "hvp": lambda fw, t: fw.autograd.functional.hvp(number(fw), (t(A), t(B)), (t(A), t(B))),
    "hvp of one": lambda fw, t: fw.autograd.functional.hvp(lambda a: (a**3).sum(), t(A), t(A)),
    "wrong inputs": lambda fw, t: fw.autograd.functional.vjp(lambda a: a, 3),
}


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_autograd_functional(name):
    both(FUNCTIONAL[name])


FUNC = {
    "grad": lambda fw, t: fw.func.grad(number(fw))(t(A), t(B)),
    "grad by the second": lambda fw, t: fw.func.grad(number(fw), argnums=1)(t(A), t(B)),
    "grad by both": lambda fw, t: fw.func.grad(number(fw), argnums=(0, 1))(t(A), t(B)),
    "grad by the last": lambda fw, t: fw.func.grad(number(fw), argnums=-1)(t(A), t(B)),
    "grad with aux": lambda fw, t: fw.func.grad(lambda a: (a.pow(2).sum(), {"a": a * 2}), has_aux=True)(t(A)),
    "grad and value": lambda fw, t: fw.func.grad_and_value(number(fw))(t(A), t(B)),
    "grad of a dict": lambda fw, t: fw.func.grad(lambda p: (p["w"] * p["b"][0]).sum())(
        {"w": t(A), "b": [t(B)]}
    ),
    "grad of grad": lambda fw, t: fw.func.grad(lambda x: fw.func.grad(lambda y: (y**4).sum())(x).sum())(t(A)),
    "grad through an outer variable": lambda fw, t: fw.func.grad(
        lambda x: fw.func.grad(lambda y: (x.sum() ** 2) * (y**2).sum())(t(A)).sum()
    )(t(A)),
    "grad of requires_grad": lambda fw, t: fw.func.grad(lambda x: (x**3).sum())(t(A).requires_grad_()),
    "grad under no_grad": lambda fw, t: fw.no_grad()(lambda: fw.func.grad(lambda x: (x**3).sum())(t(A)))(),
    "grad of several numbers": lambda fw, t: fw.func.grad(lambda x: x)(t(A)),
    "vjp": lambda fw, t: (lambda out, f: (out, f((t(V), fw.ones((), dtype=fw.float64)))))(
        *fw.func.vjp(two(fw), t(A), t(B))
    ),
    "vjp with aux": lambda fw, t: (lambda out, f, aux: (out, f(t(A)), aux))(
        *fw.func.vjp(lambda a: (a.sin(), a * 2), t(A), has_aux=True)
    ),
    "jvp": lambda fw, t: fw.func.jvp(lambda a: (a.sin(), a.sum()), (t(A),), (t(A) * 2,)),
    "jacrev": lambda fw, t: fw.func.jacrev(lambda a: a.sin().outer(a))(t(A)),
    "jacrev of several": lambda fw, t: fw.func.jacrev(two(fw), argnums=(0, 1))(t(A), t(B)),
    "jacrev of a dict": lambda fw, t: fw.func.jacrev(lambda p: {"y": p["w"] ** 2})({"w": t(A)}),
    "jacfwd": lambda fw, t: fw.func.jacfwd(lambda a: a.sin().outer(a))(t(A)),
    "jacfwd of several": lambda fw, t: fw.func.jacfwd(
        lambda a, b: {"y": fw.outer(a, b.sum(0)), "z": a.repeat(9).sin()}, argnums=(1, 0)
    )(t(A), t(B)),
    "jacfwd of few outputs": lambda fw, t: fw.func.jacfwd(lambda a: ((a**3).sum(), a.sum()))(t(A)),
    "jacfwd of a constant": lambda fw, t: fw.func.jacfwd(lambda a: fw.ones(9, dtype=fw.float64))(t(A)),
    "jacfwd with aux": lambda fw, t: fw.func.jacfwd(lambda a: (a.repeat(3), a * 2), has_aux=True)(t(A)),
    "jacfwd of jacfwd": lambda fw, t: fw.func.jacfwd(fw.func.jacfwd(lambda a: a.sin().outer(a)))(t(A)),
    "grad of jacfwd": lambda fw, t: fw.func.grad(
        lambda x: (fw.func.jacfwd(lambda a: a.sin().outer(a))(x) ** 2).sum()
    )(t(A)),
    "hessian of many outputs": lambda fw, t: fw.func.hessian(lambda a: a.sin().outer(a**2))(t(A)),
    "hessian": lambda fw, t: fw.func.hessian(lambda a: (a**3).prod())(t(A)),
    "jacrev of jacrev": lambda fw, t: fw.func.jacrev(fw.func.jacrev(lambda a: a**3))(t(A)),
    "vmap": lambda fw, t: fw.func.vmap(lambda a: (a * 2, a.sum()))(t(B)),
    "vmap of two": lambda fw, t: fw.func.vmap(lambda a, b: a * b, in_dims=(0, None))(t(B), t(A)),
    "vmap along dims": lambda fw, t: fw.func.vmap(lambda a, b: a * b, in_dims=(1, 0), out_dims=1)(t(B), t(A)),
    "vmap of a dict": lambda fw, t: fw.func.vmap(lambda p: {"y": p["a"].sum()})({"a": t(B)}),
    "vmap of vmap": lambda fw, t: fw.func.vmap(fw.func.vmap(lambda a: a * 2))(t(B)),
    "vmap of grad": lambda fw, t: fw.func.vmap(fw.func.grad(lambda a: (a**3).sum()))(t(B)),
    "per-sample gradients": lambda fw, t: fw.func.vmap(
        fw.func.grad(lambda w, x: ((w * x).sum()) ** 2), in_dims=(None, 0)
    )(t(A), t(B)),
    "vmap of nothing": lambda fw, t: fw.func.vmap(lambda a: a, in_dims=None)(t(B)),
    "vmap of unequal sizes": lambda fw, t: fw.func.vmap(lambda a, b: a)(t(B), t(A)),
    "vmap of no tensor": lambda fw, t: fw.func.vmap(lambda a: 3)(t(B)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNC)
def test_func(name):
    both(FUNC[name])


def nets():
    for fw in (torch, pynn):
        fw.manual_seed(0)
        net = fw.nn.Sequential(fw.nn.Linear(3, 4), fw.nn.Tanh(), fw.nn.Linear(4, 2)).double()
        yield fw, net


def test_functional_call():
    results = []
    for fw, net in nets():
        x = fw.tensor(B.tolist(), dtype=fw.float64)
        state = {name: (p * 2).detach() for name, p in net.named_parameters()}
        out = [
            fw.func.functional_call(net, state, (x,)),
            fw.func.functional_call(net, [{"0.bias": state["0.bias"]}], x),
        ]
        before = [p.detach().clone() for p in net.parameters()]
        out += list(
            fw.func.grad(lambda s, net=net, x=x, fw=fw: fw.func.functional_call(net, s, (x,)).sum())(
                state
            ).values()
        )
        params, buffers = fw.func.stack_module_state([net, net])
        out.append(params["0.weight"])
        assert all((a == b).all() for a, b in zip(before, net.parameters(), strict=True)) and buffers == {}
        with pytest.raises(ValueError):
            fw.func.functional_call(net, [{"0.bias": x}, {"0.bias": x}], (x,))
        for bad in ({"0.bias": state["0.bias"]}, {**state, "nope": x}):
            with pytest.raises(RuntimeError):
                fw.func.functional_call(net, bad, (x,), strict=True)
        results.append([o.detach().numpy() for o in out])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint(reentrant):
    results = []
    for fw, net in nets():
        x = fw.tensor(B.tolist(), dtype=fw.float64).requires_grad_()
        calls = []

        def part(a, scale, net=net, calls=calls):
            calls.append(1)
            return net[:2](a) * scale

        y = net[2](fw.utils.checkpoint.checkpoint(part, x, 2.0, use_reentrant=reentrant))
        y.sum().backward()
        assert len(calls) == 2
        z = fw.utils.checkpoint.checkpoint_sequential(net, 2, x * 1, use_reentrant=reentrant)
        z.sum().backward()
        results.append([t.detach().numpy() for t in (y, z, x.grad, *(p.grad for p in net.parameters()))])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


CLOSE = {
    "near": lambda fw: (fw.ones(2), fw.ones(2) + 1e-6, {}),
    "far": lambda fw: (fw.tensor([1.0, 2, 3]), fw.tensor([1.0, 2, 4]), {}),
    "matrix": lambda fw: (fw.tensor([[1.0, 2], [3, 5]]), fw.tensor([[1.0, 2], [4, 6]]), {}),
    "nan": lambda fw: (fw.tensor([float("nan")]), fw.tensor([float("nan")]), {}),
    "equal nan": lambda fw: (fw.tensor([float("nan")]), fw.tensor([float("nan")]), {"equal_nan": True}),
    "integers": lambda fw: (fw.tensor([1, 2, 3]), fw.tensor([1, 2, 4]), {}),
    "bools": lambda fw: (fw.tensor([True]), fw.tensor([False]), {}),
    "dtype": lambda fw: (fw.ones(1), fw.ones(1, dtype=fw.float64), {}),
    "dtype unchecked": lambda fw: (fw.ones(1), fw.ones(1, dtype=fw.float64), {"check_dtype": False}),
    "shape": lambda fw: (fw.ones(2), fw.ones(3), {}),
    "stride": lambda fw: (fw.ones(2, 3), fw.ones(3, 2).t(), {"check_stride": True}),
    "list": lambda fw: ([fw.ones(2), fw.ones(2)], [fw.ones(2), fw.zeros(2)], {}),
    "nested": lambda fw: ({"a": [fw.ones(2)]}, {"a": [fw.zeros(2)]}, {}),
    "keys": lambda fw: ({"a": 1}, {"b": 1}, {}),
    "length": lambda fw: ([1, 2], [1], {}),
    "numbers": lambda fw: (1.0, 1.1, {}),
    "equal numbers": lambda fw: (3, 3, {}),
    "unequal integers": lambda fw: (1, 2, {}),
    "types of numbers": lambda fw: (1, 1.0, {}),
    "0-d": lambda fw: (fw.tensor(1.0), fw.tensor(2.0), {}),
    "text": lambda fw: ("a", "b", {}),
    "tensor and number": lambda fw: (fw.tensor(1.0), 1.0, {}),
    "one tolerance": lambda fw: (fw.ones(2), fw.ones(2), {"rtol": 1}),
    "exact": lambda fw: (fw.ones(2), fw.zeros(2), {"rtol": 0, "atol": 0}),
    "loose": lambda fw: (fw.ones(2), fw.zeros(2), {"rtol": 0, "atol": 2}),
    "message": lambda fw: (fw.ones(2), fw.zeros(2), {"msg": "hey"}),
    "message of the message": lambda fw: (fw.ones(2), fw.zeros(2), {"msg": lambda m: "X " + m}),
    "none": lambda fw: (None, None, {}),
    "python bools": lambda fw: (True, False, {}),
    "arrays": lambda fw: (np.ones(2), np.ones(2), {}),
    "half": lambda fw: (fw.ones(1, dtype=fw.float16), fw.ones(1, dtype=fw.float16) + 0.001, {}),
}


@pytest.mark.parametrize("name", CLOSE)
def test_assert_close(name):
    said = []
    for fw in (torch, pynn):
        a, b, options = CLOSE[name](fw)
        try:
            fw.testing.assert_close(a, b, **options)
            said.append(None)
        except Exception as e:
            said.append(
                (
                    type(e),
                    str(e).replace("pynn.Tensor", "torch.Tensor"),
                )
            )
    assert said[0] == said[1]


def test_schedule_and_autocast_lists():
    import pynn.profiler

    for options in (
        {"wait": 1, "warmup": 1, "active": 2},
        {"wait": 0, "warmup": 0, "active": 1, "repeat": 2},
        {"wait": 1, "warmup": 1, "active": 3, "repeat": 1, "skip_first": 2},
    ):
        ours, theirs = pynn.profiler.schedule(**options), torch.profiler.schedule(**options)
        assert [ours(i).name for i in range(12)] == [theirs(i).name for i in range(12)]
    cases = {
        "matmul": lambda fw, x: x @ x,
        "mm": lambda fw, x: fw.mm(x, x),
        "bmm": lambda fw, x: fw.bmm(x[None], x[None]),
        "addmm": lambda fw, x: fw.addmm(x, x, x),
        "baddbmm": lambda fw, x: fw.baddbmm(x[None], x[None], x[None]),
        "linear": lambda fw, x: fw.nn.functional.linear(x, x, x[0]),
        "mv": lambda fw, x: fw.mv(x, x[0]),
        "einsum": lambda fw, x: fw.einsum("ij,jk", x, x),
        "tensordot": lambda fw, x: fw.tensordot(x, x, 1),
        "conv1d": lambda fw, x: fw.nn.functional.conv1d(x[None], x[:, :, None]),
        "conv2d": lambda fw, x: fw.nn.functional.conv2d(x[None, None], x[:1, :, None, None][:, :1]),
        "batch_norm": lambda fw, x: fw.nn.functional.batch_norm(x, x[0], x[0]),
        "quantile": lambda fw, x: fw.quantile(x, 0.5),
        "trace": lambda fw, x: fw.trace(x),
        "cdist": lambda fw, x: fw.cdist(x, x),
        "add": lambda fw, x: x + x,
        "softmax": lambda fw, x: x.softmax(0),
        "layer_norm": lambda fw, x: fw.nn.functional.layer_norm(x, (4,)),
        "prod": lambda fw, x: x.prod(),
        "sum": lambda fw, x: x.sum(),
        "exp": lambda fw, x: x.exp(),
        "mse_loss": lambda fw, x: fw.nn.functional.mse_loss(x, x),
        "l1_loss": lambda fw, x: fw.nn.functional.l1_loss(x, x),
        "cross_entropy": lambda fw, x: fw.nn.functional.cross_entropy(x, fw.zeros(4, dtype=fw.long)),
        "bce": lambda fw, x: fw.nn.functional.binary_cross_entropy_with_logits(x, x),
        "cat": lambda fw, x: fw.cat([x, x.float()]),
    }
    for name, f in cases.items():
        for dtype in ("bfloat16", "float32", "float64"):
            got = []
            for fw in (torch, pynn):
                x = fw.ones(4, 4, dtype=getattr(fw, dtype))
                with fw.autocast("cpu"):
                    got.append(str(f(fw, x).dtype))
            assert got[0] == got[1], (name, dtype, got)
