"""The modules and optimisers of PyTorch's own tests (`module_db`, `optim_db`), with their samples, beside PyTorch."""

import copy
import warnings

import pytest

pytest.importorskip("torch", reason="parity tests compare with PyTorch")

import torch
from op_convert import (
    Unavailable,
    alike,
    attempt,
    convert,
    derivatives,
    find,
    same,
    same_gradients,
    tensors_in,
)
from op_samples import MODULES, OPTIMIZERS
from torch.testing._internal.common_modules import ModuleErrorEnum
from torch.testing._internal.common_optimizers import OptimizerErrorEnum

import pynn

pytestmark = pytest.mark.filterwarnings("ignore")

RANDOM = "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout FractionalMaxPool2d FractionalMaxPool3d RReLU"


OTHER_ERRORS = {
    "nn.NLLLoss": "a weight of another dtype is converted",
    "nn.LinearCrossEntropyLoss": "the dtype of the target is checked before its size",
}


def our_class(cls):
    return find(pynn, f"torch.nn.{cls.__name__}")


def filled(lib, module):
    """Parameters with numbers of order one that both libraries agree on."""
    with lib.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_((lib.arange(p.numel(), dtype=lib.float64).mul(1.7).add(i).sin() / 2).reshape(p.shape))
    return module


def run(lib, cls, make, forward, training):
    """Results, and gradients of inputs and parameters."""
    args, kwargs = forward
    module = cls(*make[0], **make[1]).to(lib.float64)
    module.train(training)
    if isinstance(module, lib.nn.modules.lazy.LazyModuleMixin):
        with lib.no_grad():  # makes its parameters
            module(*args, **kwargs)
    filled(lib, module)
    results = module(*args, **kwargs)
    leaves = [t for t in tensors_in([args, kwargs, list(module.parameters())]) if t.requires_grad]
    return module, results, leaves


def module_inputs(info, training):
    torch.manual_seed(3)
    return info.module_inputs_func(info, "cpu", torch.float64, requires_grad=True, training=training)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("info", MODULES, ids=[i.name for i in MODULES])
def test_modules(info, training):
    ours = our_class(info.module_cls)
    inputs = module_inputs(info, training)
    for sample in inputs[:: max(1, len(inputs) // 5)]:
        where = f"{info.name} {sample.desc}"
        make = sample.constructor_input.args, sample.constructor_input.kwargs
        forward = sample.forward_input.args, sample.forward_input.kwargs
        if any(isinstance(v, torch.nn.Module) for v in (*make[0], *make[1].values())):
            make = (make[0], copy.deepcopy(make[1]))
        try:
            our_make, our_forward = convert(list(make)), convert(list(forward))
        except Unavailable:
            continue
        theirs, their_error = attempt(torch, run, (torch, info.module_cls, make, forward, training), {})
        mine, our_error = attempt(pynn, run, (pynn, ours, our_make, our_forward, training), {})
        alike(our_error, their_error, where)
        if their_error is not None:
            continue
        assert list(mine[0].state_dict()) == list(theirs[0].state_dict()), where
        assert mine[0].extra_repr() == theirs[0].extra_repr(), where
        values = info.module_cls.__name__ not in RANDOM or not training
        same(mine[1], theirs[1], where, 1.0, values)
        if values:
            first, _ = derivatives(pynn, mine[1], mine[2], False)
            wanted, _ = derivatives(torch, theirs[1], theirs[2], False)
            same_gradients(first, wanted, where, 10.0)


@pytest.mark.parametrize("info", MODULES, ids=[i.name for i in MODULES])
def test_module_errors(info):
    if info.module_error_inputs_func is None:
        return
    torch.manual_seed(3)
    for item in info.module_error_inputs_func(info, "cpu", torch.float64, True, True):
        make, forward = item.module_error_input.constructor_input, item.module_error_input.forward_input

        def both(lib, cls, item=item, make=make, forward=forward):
            to = convert if lib is pynn else lambda x: x
            module = cls(*to(make.args), **to(make.kwargs))
            if item.error_on == ModuleErrorEnum.FORWARD_ERROR:
                module(*to(forward.args), **to(forward.kwargs))

        _, theirs = attempt(torch, both, (torch, info.module_cls), {})
        _, ours = attempt(pynn, both, (pynn, our_class(info.module_cls)), {})
        if info.name not in OTHER_ERRORS:
            alike(ours, theirs, info.name)


def trained(lib, cls, kwargs):
    """Five steps of a small problem: the parameters after them, and the state's keys."""
    m = lib.arange(12, dtype=lib.float64).mul(0.7).sin().reshape(3, 4)
    matrix_only = cls.__name__ == "Muon"
    params = [m.clone().requires_grad_()] + ([] if matrix_only else [m[0].clone().requires_grad_()])
    target = lib.arange(12, dtype=lib.float64).cos().reshape(3, 4)
    kwargs = {
        k: lib.tensor(v.item(), dtype=lib.float32) if hasattr(v, "item") else v for k, v in kwargs.items()
    }
    optimizer = cls(params, **kwargs)

    def closure():
        optimizer.zero_grad()
        loss = sum(
            ((p - target[: p.dim() + 2] if p.dim() == 2 else p - target[0]) ** 2).sum() for p in params
        )
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    state = optimizer.state_dict()
    return (
        [p.detach() for p in params],
        [sorted(s) for s in state["state"].values()],
        sorted(state["param_groups"][0]),
    )


@pytest.mark.parametrize("info", OPTIMIZERS, ids=[i.optim_cls.__name__ for i in OPTIMIZERS])
def test_optimizers(info):
    ours = find(pynn, f"torch.optim.{info.optim_cls.__name__}")
    for sample in info.optim_inputs_func("cpu"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs, their_error = attempt(torch, trained, (torch, info.optim_cls, sample.kwargs), {})
            mine, our_error = attempt(pynn, trained, (pynn, ours, sample.kwargs), {})
        if sample.kwargs.get("capturable") or sample.kwargs.get("differentiable"):
            continue  # docs/coming-from-pytorch.md
        alike(our_error, their_error, sample.desc)
        if their_error is None:
            same(mine[0], theirs[0], f"{info.optim_cls.__name__} {sample.desc}", 10.0)
            assert mine[1:] == theirs[1:], sample.desc


@pytest.mark.parametrize("info", OPTIMIZERS, ids=[i.optim_cls.__name__ for i in OPTIMIZERS])
def test_optimizer_errors(info):
    cls = find(pynn, f"torch.optim.{info.optim_cls.__name__}")
    for item in info.optim_error_inputs_func("cpu", torch.float64) if info.optim_error_inputs_func else ():
        if item.error_on != OptimizerErrorEnum.CONSTRUCTION_ERROR:
            continue
        sample = item.optimizer_error_input
        params = sample.params if sample.params is not None else [torch.zeros(2, 2, requires_grad=True)]
        try:
            our_params = convert(params)
        except Unavailable:
            continue
        _, theirs = attempt(torch, info.optim_cls, (params,), sample.kwargs)
        _, ours = attempt(pynn, cls, (our_params,), convert(sample.kwargs))
        alike(ours, theirs, f"{info.optim_cls.__name__} {sample.desc}")
