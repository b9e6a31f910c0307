"""__torch_function__: classes of tensors keep their results, see calls and take them over; modes see all calls."""

import copy
import pickle
import threading

import pytest

import pynn
from pynn.overrides import (
    BaseTorchFunctionMode,
    TorchFunctionMode,
    get_default_nowrap_functions,
    handle_torch_function,
    has_torch_function,
    has_torch_function_unary,
    has_torch_function_variadic,
    is_tensor_like,
    is_tensor_method_or_property,
    resolve_name,
    wrap_torch_function,
)


class Plain(pynn.Tensor):
    """Without a word of its own: results stay in the class."""


class Derived(Plain):
    pass


class Other(pynn.Tensor):
    pass


class Logged(pynn.Tensor):
    calls: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls.append(resolve_name(func))
        return super().__torch_function__(func, types, args, kwargs)


class Untouched(pynn.Tensor):
    __torch_function__ = pynn._C._disabled_torch_function_impl


class Duck:
    """No tensor at all."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return resolve_name(func), types, len(args), kwargs


class Recorder(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls.append(resolve_name(func))
        return func(*args, **(kwargs or {}))


def of(cls, *shape):
    return pynn.ones(shape).as_subclass(cls)


RESULTS = [
    lambda x: x + 1,
    lambda x: 1 + x,
    lambda x: 2 - x,
    lambda x: x / x,
    lambda x: 2**x,
    lambda x: -x,
    lambda x: x @ x,
    lambda x: x > 0.5,
    lambda x: x[0],
    lambda x: x[:, None],
    lambda x: x.T,
    lambda x: x.mT,
    lambda x: x.data,
    lambda x: x.mean(),
    lambda x: pynn.mean(x),
    lambda x: x.max(0)[1],
    lambda x: pynn.stack([x, x]),
    lambda x: pynn.cat((pynn.zeros(3, 3), x)),
    lambda x: x.to(pynn.float64),
    lambda x: x.double(),
    lambda x: x.cpu(),
    lambda x: x.clone(),
    lambda x: x.detach(),
    lambda x: pynn.nn.functional.softmax(x, dim=0),
    lambda x: pynn.where(x > 0, pynn.zeros(3, 3), x),
    lambda x: x.add_(1),
    lambda x: x.split(1)[2],
    lambda x: pynn.linalg.inv(x + 3 * pynn.eye(3)),
    lambda x: pynn.nn.Linear(3, 2)(x),
    lambda x: pynn.zeros_like(x),
    lambda x: x.new_zeros(2),
]


@pytest.mark.parametrize("f", RESULTS)
@pytest.mark.parametrize("cls", [Plain, Derived, Logged])
def test_results_stay_in_the_class(f, cls):
    assert type(f(of(cls, 3, 3))) is cls
    assert type(f(pynn.ones(3, 3))) is pynn.Tensor
    assert type(f(of(Untouched, 3, 3))) in (
        pynn.Tensor,
        Untouched,
    )  # itself from what works in place or does nothing


def test_what_is_no_tensor_stays_as_it_is():
    x = of(Plain, 2, 3)
    assert type(x.shape) is pynn.Size and x.shape == (2, 3) and x.dtype is pynn.float32 and x.numel() == 6
    assert type(x.tolist()) is list and x.sum().item() == 6 and bool((x == 1).all())
    values, places = found = x.max(1)
    assert type(found).__name__ == "max" and type(found.values) is type(values) is type(places) is Plain


def test_gradients():
    x = of(Plain, 3).requires_grad_()
    y = (x * x).sum()
    assert type(y) is Plain and y.grad_fn is not None
    y.backward()
    assert type(x.grad) is pynn.Tensor and x.grad.tolist() == [2, 2, 2]


def test_subclasses_come_first_and_strangers_fail():
    x, y = of(Plain, 2), of(Derived, 2)
    assert type(x + y) is type(y + x) is type(pynn.stack([x, y])) is Derived
    with pytest.raises(TypeError, match=r"torch.Tensor.add.*no implementation found.*\[Plain, Other\]"):
        x + of(Other, 2)


def test_names_of_calls():
    x = of(Logged, 2, 2)
    Logged.calls.clear()
    x + 1, 1 - x, x @ x, x.shape, x.T, x[0], pynn.add(x, x), pynn.cat([x]), -x, x < 1
    x[0] = 2
    x += 1
    x.add_(1), x.mean(), x.float(), pynn.nn.functional.linear(x, x)
    assert Logged.calls == [
        "torch.Tensor.add",
        "torch.Tensor.__rsub__",
        "torch.Tensor.matmul",
        "torch.Tensor.shape.__get__",
        "torch.Tensor.T.__get__",
        "torch.Tensor.__getitem__",
        "torch.add",
        "torch.cat",
        "torch.Tensor.neg",
        "torch.Tensor.lt",
        "torch.Tensor.__setitem__",
        "torch.Tensor.add_",
        "torch.Tensor.add_",
        "torch.Tensor.mean",
        "torch.Tensor.float",
        "torch.nn.functional.linear",
    ]
    assert x.tolist() == [[4, 4], [3, 3]]


def test_parameters_and_disabled_classes_are_plain():
    p = pynn.nn.Parameter(pynn.ones(2))
    assert type(p * 2) is pynn.Tensor and not has_torch_function_unary(p)
    assert type(of(Untouched, 2) * 2) is pynn.Tensor
    assert type(pynn.nn.Parameter(of(Plain, 2)) * 2) is Plain
    marked = pynn.nn.Buffer(pynn.ones(2))
    assert type(marked * 2) is pynn.Tensor


def test_classes_that_are_no_tensors():
    names = [
        pynn.mean(Duck()),
        pynn.add(pynn.ones(1), Duck()),
        pynn.cat([pynn.ones(1), Duck()]),
        pynn.softmax(Duck(), dim=1),
    ]
    assert [n[0] for n in names] == ["torch.mean", "torch.add", "torch.cat", "torch.softmax"]
    assert all(n[1] == (Duck,) for n in names) and names[3][3]["dim"] == 1
    assert is_tensor_like(Duck()) and is_tensor_like(pynn.ones(1)) and not is_tensor_like(1)
    with pytest.raises(TypeError, match="mean"):
        pynn.mean(3)


def test_an_error_of_the_class_arrives():
    class Refuses(pynn.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise KeyError("refused")

    class Declines(pynn.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    with pytest.raises(KeyError, match="refused"):
        of(Refuses, 2) + 1
    with pytest.raises(KeyError, match="refused"):
        of(Refuses, 2)[0] = 1
    with pytest.raises(TypeError, match="no implementation found"):
        pynn.exp(of(Declines, 2))
    with pynn._C.DisableTorchFunctionSubclass():
        assert type(of(Refuses, 2) + 1) is pynn.Tensor


def test_a_function_by_another():
    """The way in which programs replace functions for a class."""
    handled = {pynn.mean: lambda x: "mean", pynn.Tensor.sum: lambda x, dim: ("sum", dim)}

    class Replaced(pynn.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func in handled:
                return handled[func](*args, **(kwargs or {}))
            return super().__torch_function__(func, types, args, kwargs)

    x = of(Replaced, 2)
    assert pynn.mean(x) == "mean" and x.sum(dim=0) == ("sum", 0) and type(x.mean()) is Replaced


def test_modes():
    with Recorder() as outer, Recorder() as inner:
        x = pynn.zeros(2)
        y = x + pynn.exp(x)
    assert outer.calls == inner.calls == ["torch.zeros", "torch.exp", "torch.Tensor.add"]
    assert y.tolist() == [1, 1]
    x + 1  # both are off
    assert len(inner.calls) == 3
    with BaseTorchFunctionMode():
        assert (x + 1).tolist() == [1, 1] and type(of(Plain, 1) + 1) is Plain


def test_a_mode_takes_results_over_and_lets_errors_through():
    class Twos(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is pynn.ones:
                return pynn.full(*args, 2.0)
            return func(*args, **(kwargs or {}))

    with Twos():
        assert pynn.ones((2,)).tolist() == [2, 2]
    with pytest.raises(ZeroDivisionError), Twos():
        1 / 0
    assert pynn.ones(2).tolist() == [1, 1] and not has_torch_function(())
    with Recorder() as seen, pynn._C.DisableTorchFunction():
        pynn.ones(2)
    assert seen.calls == []
    with Recorder() as seen, pynn._C.DisableTorchFunctionSubclass():
        of(Logged, 2)
    assert "torch.ones" in seen.calls
    with pytest.raises(NotImplementedError), TorchFunctionMode():
        pynn.ones(1)


def test_modes_are_of_their_thread():
    seen = []

    def work():
        seen.append(has_torch_function(()))
        seen.append((pynn.ones(2) + 1).tolist())

    with Recorder() as mode:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert has_torch_function(())
    assert seen == [False, [2, 2]] and mode.calls == []


def test_functions_of_programs():
    @wrap_torch_function(lambda a, b=None: (a, b))
    def double(a, b=None):
        return 2 * a

    assert double(3) == 6 and double(pynn.ones(1)).item() == 2
    assert double(Duck())[1] == (Duck,) and double(1, b=Duck())[3]["b"] is not None

    def triple(a):
        if has_torch_function_variadic(a, 1):
            return handle_torch_function(triple, (a,), a)
        return 3 * a

    assert triple(2) == 6 and triple(Duck())[2] == 1 and type(triple(of(Plain, 2))) is Plain
    with pytest.raises(TypeError, match="no implementation found"):
        handle_torch_function(triple, (1,), 1)


def test_what_is_known_of_functions():
    assert pynn.Tensor.grad.__get__ in get_default_nowrap_functions()
    assert is_tensor_method_or_property(pynn.Tensor.add) and is_tensor_method_or_property(
        pynn.Tensor.T.__get__
    )
    assert not is_tensor_method_or_property(pynn.add)
    assert resolve_name(pynn.linalg.inv) == "torch.linalg.inv" and resolve_name(3) is None


def test_copies_and_pickles_keep_the_class():
    x = of(Plain, 2)
    x.mark = 3
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(y) is Plain and y.tolist() == [1, 1]


def test_in_a_module():
    class Scaled(pynn.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = pynn.nn.Parameter(of(Logged, 2))

        def forward(self, x):
            return x * self.w

    net, x = Scaled(), pynn.ones(3, 2)
    optimizer = pynn.optim.SGD(net.parameters(), lr=0.5)
    Logged.calls.clear()
    y = net(x)
    y.sum().backward()
    optimizer.step()
    assert type(y) is Logged and "torch.Tensor.mul" in Logged.calls and net.w.tolist() == [-0.5, -0.5]
