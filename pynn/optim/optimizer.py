"""The base of every optimiser: parameter groups, the state of each parameter, and their saved form."""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any, TypeAlias
from weakref import ref

import pynn
from pynn import Tensor
from pynn._C import _drop_grads
from pynn.utils.hooks import RemovableHandle

ParamsT: TypeAlias = "Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]"


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()  # a default that every parameter group has to replace


class Optimizer:
    """Base class of all optimisers. Same as torch.optim.Optimizer.

    Args:
        params: tensors, or dicts with a `params` entry and options of their own, or `(name, tensor)` pairs,
            in an order that does not change between runs.
        defaults: options of the groups that do not set them.

    A subclass overrides `step`. `state[p]` is a dict that belongs to the parameter `p`.
    """

    defaults: dict[str, Any]
    state: defaultdict[Any, Any]
    param_groups: list[dict[str, Any]]
    _optimizer_step_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _optimizer_step_post_hooks: OrderedDict[int, Callable[..., Any]]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__} (put it into a list)"
            )
        self.defaults = defaults
        self.state = defaultdict(dict)
        self.param_groups = []
        self._optimizer_step_pre_hooks = OrderedDict()
        self._optimizer_step_post_hooks = OrderedDict()

        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __getstate__(self) -> dict[str, Any]:
        # Hooks stay behind: they are functions of the running program.
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_optimizer_step_pre_hooks", OrderedDict())
        self.__dict__.setdefault("_optimizer_step_post_hooks", OrderedDict())

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            lines = [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
            text += f"\nParameter Group {i}\n" + "".join(lines)
        return text + ")"

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; `closure`, if given, computes the loss again and returns it."""
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros if `set_to_none` is False."""
        for group in self.param_groups:
            if set_to_none:
                _drop_grads(group["params"])
                continue
            for p in group["params"]:
                if (grad := p.grad) is not None:
                    if grad.grad_fn is not None:
                        grad.detach_()
                    else:
                        grad.requires_grad_(False)
                    grad.zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, for example layers that start to train later.

        Raises:
            TypeError: the group is no dict, its parameters are a set, or one of them is no tensor.
            ValueError: a tensor is no leaf, belongs to two groups, or only some of the parameters have names.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of "
                "tensors in sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names:
            if len(names) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are missing"
                )
            params = [p[1] for p in params]
            param_group["param_names"] = names
        param_group["params"] = params

        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p).__qualname__}"
                )
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")

        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            param_group.setdefault(name, default)

        unique = set(params)
        if len(unique) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause "
                "an error",
                stacklevel=3,
            )
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                have = "with" if "param_names" in param_group else "without"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {have} names to the optimizer"
                )
            if not unique.isdisjoint(group["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def state_dict(self) -> dict[str, Any]:
        """`{"state": {i: ...}, "param_groups": [...]}`, with numbers for the parameters, group after group.

        The tensors are those of the optimiser, not copies.
        """
        ids: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            params = group["params"]
            for i, p in enumerate(params, start):
                ids.setdefault(id(p), i)
            start += len(params)
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [ids[id(p)] for p in params]
            groups.append(packed)
        state = {
            (ids[id(key)] if isinstance(key, Tensor) else key): value for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, in this process or in PyTorch.

        Parameters are matched by position. State tensors are cast to the dtype and device of their parameter
        (`step` keeps its own); those that need no cast are shared with `state_dict`.

        Raises:
            ValueError: the number of groups or of the parameters of a group differs.
        """
        groups = self.param_groups
        saved = deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError(
                "loaded state dict has a different number of parameter groups, "
                f"got {len(saved)} for an optimizer with {len(groups)}"
            )
        for i, (mine, theirs) in enumerate(zip(groups, saved, strict=True)):
            if len(mine["params"]) != len(theirs["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
                    f"group, got {len(theirs['params'])} for {len(mine['params'])} parameters in group {i}"
                )

        owner = dict(
            zip(
                chain.from_iterable(group["params"] for group in saved),
                chain.from_iterable(group["params"] for group in groups),
                strict=True,
            )
        )
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in owner:
                state[owner[key]] = _cast_state(owner[key], value)
            else:
                state[key] = value

        for mine, theirs in zip(groups, saved, strict=True):
            theirs["params"] = mine["params"]
            if "param_names" in mine:
                theirs.setdefault("param_names", mine["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step.

        `args[0]` is the optimiser; the hook may return `(args, kwargs)` to replace those of the step.
        """
        self._run_step_hooks()
        handle = RemovableHandle(self._optimizer_step_pre_hooks)
        self._optimizer_step_pre_hooks[handle.id] = hook
        return handle

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        self._run_step_hooks()
        handle = RemovableHandle(self._optimizer_step_post_hooks)
        self._optimizer_step_post_hooks[handle.id] = hook
        return handle

    def _run_step_hooks(self) -> None:
        # The loop over hooks goes before `step` of this object alone: optimisers without hooks pay nothing.
        if "_hooked" in self.__dict__:
            return
        self._hooked = True
        weak = ref(self)  # a strong one would keep the parameters alive until the garbage collector runs
        replaced = self.__dict__.get("step")

        def step(*args: Any, **kwargs: Any) -> Any:
            opt = weak()
            assert opt is not None
            args = (opt, *args)
            for hook in tuple(opt._optimizer_step_pre_hooks.values()):
                result = hook(opt, args, kwargs)
                if result is None:
                    continue
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{type(opt).__name__}.step: a pre-hook must return None or a tuple of (new_args, "
                        f"new_kwargs), but got {result}."
                    )
                args, kwargs = result
            out = type(opt).step(*args, **kwargs) if replaced is None else replaced(*args[1:], **kwargs)
            for hook in tuple(opt._optimizer_step_post_hooks.values()):
                hook(opt, args, kwargs)
            return out

        self.step = step  # type: ignore[method-assign]


def _cast_state(param: Tensor, value: Any, key: Hashable = None) -> Any:
    if isinstance(value, Tensor):
        if key == "step":
            return value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)
    if isinstance(value, dict):
        return {k: _cast_state(param, v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(_cast_state(param, v) for v in value)
    return value


def _check_nonnegative(what: str, value: Any) -> None:
    if not value >= 0.0:
        raise ValueError(f"Invalid {what}: {value}")


def _check_lr(lr: float | Tensor) -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    _check_nonnegative("learning rate", lr)


def _check_modes(
    name: str, foreach: bool | None, differentiable: bool, fused: bool | None = None, capturable: bool = False
) -> None:
    """Refuse what changes the meaning of a step; `foreach` and `fused` only choose how it is computed."""
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise RuntimeError(
            f"{name}: differentiable must be False, got True (the step runs in place, outside autograd)"
        )
    if capturable:
        raise RuntimeError(f"{name}: capturable must be False, got True (Adam and AdamW can be captured)")


def _missing(p: Tensor, state: dict[str, Any], kind: str, keys: Iterable[str | None]) -> KeyError:
    lacks = [key for key in keys if key is not None and state.get(key) is None]
    return KeyError(f"{kind}: the state of a parameter of shape {tuple(p.shape)} lacks {', '.join(lacks)}")


def _new_step(value: float = 0.0) -> Tensor:
    """PyTorch's step counter: a 0-d floating CPU tensor, float64 only if that is the default dtype."""
    dtype = pynn.float64 if pynn.get_default_dtype() == pynn.float64 else pynn.float32
    return pynn.tensor(value, dtype=dtype)


def _steps_to_tensors(optimizer: Optimizer) -> None:
    """Old checkpoints hold `step` as a number; others hold it on another device than it is counted on."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state.get(p)
            if not state:
                continue
            if not isinstance(state["step"], Tensor):
                state["step"] = _new_step(float(state["step"]))
            if group.get("capturable") and p.is_cuda:
                state["step"] = state["step"].to(p.device, pynn.float32)
            else:
                state["step"] = state["step"].cpu()
