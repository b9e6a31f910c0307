"""__torch_function__ beside PyTorch: which functions a class or a mode is told of, by what names, and whose results are
of the class."""

import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

LIBS = (pynn, torch)

CALLS = [
    "x + 1",
    "1 + x",
    "x - y",
    "y - x",
    "1 - x",
    "2 * x",
    "x / 2",
    "3 / x",
    "x ** 2",
    "x // 2",
    "x % 2",
    "x @ x",
    "y @ x",
    "-x",
    "abs(x)",
    "x < y",
    "x == x",
    "x[0]",
    "x[:, 1]",
    "x.T",
    "x.mT",
    "x.data",
    "x.shape",
    "x.dtype",
    "x.device",
    "x.grad",
    "x.requires_grad",
    "x.is_leaf",
    "x.mean()",
    "x.sum(0)",
    "x.max(dim=1)",
    "x.max(dim=1)[0]",
    "x.view(-1)",
    "x.reshape(4)",
    "x.t()",
    "x.float()",
    "x.double()",
    "x.to(lib.float64)",
    "x.cpu()",
    "x.clone()",
    "x.detach()",
    "x.add_(1)",
    "x.mul_(y)",
    "x.clamp(min=0)",
    "x.chunk(2)",
    "x.expand(2, 2, 2)",
    "x.new_ones(3)",
    "lib.add(x, y)",
    "lib.add(y, x)",
    "lib.mean(x)",
    "lib.exp(x)",
    "lib.cat([x, y])",
    "lib.stack([y, x])",
    "lib.where(x > 0, x, y)",
    "lib.zeros_like(x)",
    "lib.matmul(x, y)",
    "lib.softmax(x, 0)",
    "2**x",
    "1 // x",
    "1 == x",
    "x != y",
    "x.bool() & y.bool()",
    "x.int() << 1",
    "lib.topk(x, 1)",
    "lib.sort(x)",
    "lib.nn.functional.linear(x, y)",
]


def classes(lib):
    class Logged(lib.Tensor):
        calls: list = []

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            with lib._C.DisableTorchFunctionSubclass():
                cls.calls.append(
                    (
                        lib.overrides.resolve_name(func),
                        [t.__name__ for t in types],
                        len(args),
                        sorted(kwargs or {}),
                    )
                )
            return super().__torch_function__(func, types, args, kwargs)

    class Plain(lib.Tensor):
        pass

    return Logged, Plain


def kinds(result):
    if isinstance(result, (tuple, list)) and not type(result).__name__ == "Size":
        return [type(result).__name__, *(kinds(r) for r in result)]
    return type(result).__name__


@pytest.mark.parametrize("call", CALLS)
def test_calls_and_kinds_of_results(call):
    seen = []
    for lib in LIBS:
        for cls in classes(lib):
            with lib.no_grad():
                x = lib.tensor([[1.0, 2.0], [3.0, 5.0]]).as_subclass(cls)
                y = lib.tensor([[1.0, 0.5], [2.0, 1.0]])
                names = {"lib": lib, "x": x, "y": y}
                getattr(cls, "calls", []).clear()
                result = eval(call, names)
            seen.append((kinds(result), list(getattr(cls, "calls", []))))
    assert seen[:2] == seen[2:]


MODE_CALLS = [
    "lib.zeros(2)",
    "lib.ones((2, 3))",
    "lib.arange(3)",
    "lib.randn(2)",
    "y + 1",
    "1 - y",
    "y[0]",
    "y.shape",
    "y.T",
    "y.mean()",
    "lib.exp(y)",
    "lib.cat([y, y])",
    "y.to(lib.float64)",
    "lib.nn.functional.linear(y, y)",
]


@pytest.mark.parametrize("call", MODE_CALLS)
def test_modes(call):
    seen = []
    for lib in LIBS:
        calls = []

        class Mode(lib.overrides.TorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None, lib=lib, calls=calls):
                calls.append(lib.overrides.resolve_name(func))
                return func(*args, **(kwargs or {}))

        y = lib.tensor([[1.0, 0.5], [2.0, 1.0]])
        with Mode():
            eval(call, {"lib": lib, "y": y})
        seen.append(calls)
    assert seen[0] == seen[1]


def test_order_of_classes():
    seen = []
    for lib in LIBS:
        asked = []

        class First(lib.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None, asked=asked):
                asked.append((cls.__name__, [t.__name__ for t in types]))
                return NotImplemented

        class Second(First):
            pass

        class Third(lib.Tensor):
            __torch_function__ = First.__torch_function__

        a, b, c = (lib.ones(1).as_subclass(k) for k in (First, Second, Third))
        for args in ((a, b), (b, a), (c, a), (a, c)):
            with pytest.raises(TypeError, match="Multiple dispatch failed for 'torch.add'"):
                lib.add(*args)
        with pytest.raises(TypeError, match="Multiple dispatch failed for 'torch.cat'"):
            lib.cat([a, c, b])
        seen.append(asked)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("backward", [False, True])
def test_flop_counter(backward):
    counts = []
    for lib in LIBS:
        from importlib import import_module

        mode = import_module(f"{lib.__name__}.utils.flop_counter").FlopCounterMode(display=False)
        lib.manual_seed(0)
        net = lib.nn.Sequential(
            lib.nn.Conv2d(3, 8, 3, stride=2),
            lib.nn.ReLU(),
            lib.nn.ConvTranspose2d(8, 4, 2),
            lib.nn.Flatten(),
            lib.nn.Linear(4 * 64, 10),
        )
        x = lib.randn(2, 3, 15, 15)
        a, b = lib.randn(3, 4, 5).requires_grad_(), lib.randn(3, 5, 6)
        with mode:
            loss = (
                net(x).sum()
                + (a @ b).sum()
                + lib.addmm(lib.ones(4, 6), a[0].detach(), b[0]).sum()
                + lib.mm(a[0], b[0]).sum()
            )
            if backward:
                loss.backward()
        counts.append(mode.get_total_flops())
    assert counts[0] == counts[1] > 0
