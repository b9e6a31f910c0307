"""state_dict and load_state_dict of a Module, with their hooks."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import pynn
from pynn import Tensor
from pynn.utils.hooks import RemovableHandle

from ..parameter import Parameter

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """The keys that a state dict lacks and those that it has too many."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class _StateHooks:
    """Hooks on a module's state dict: id of the handle -> hook."""

    def __init__(self) -> None:
        self.save_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.save: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.save_returns_none: OrderedDict[int, bool] = (
            OrderedDict()
        )  # hooks from register_state_dict_post_hook
        self.load_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.load_pre_with_module: OrderedDict[int, bool] = OrderedDict()
        self.load_post: OrderedDict[int, Callable[..., Any]] = OrderedDict()


def _field(name: str) -> Any:
    def read(self: State) -> Any:
        return getattr(_hooks_of(self), name)

    def write(self: State, value: Any) -> None:
        setattr(_hooks_of(self), name, value)

    return property(read, write)


def _hooks_of(module: State) -> _StateHooks:
    hooks = module._state_hooks
    if hooks is None:
        hooks = _StateHooks()
        object.__setattr__(module, "_state_hooks", hooks)
    return hooks


class State:
    """What Module inherits for its state dict."""

    _version: int = 1
    _state_hooks: _StateHooks | None = None
    _parameters: Any
    _buffers: Any
    _modules: Any
    _non_persistent_buffers_set: set[str]

    _state_dict_hooks = _field("save")
    _state_dict_pre_hooks = _field("save_pre")
    _load_state_dict_pre_hooks = _field("load_pre")
    _load_state_dict_post_hooks = _field("load_post")

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the module's state is saved."""
        return _register(_hooks_of(self).save_pre, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after the module's state is saved.

        It may change the state dict in place and must return None.
        """
        hooks = _hooks_of(self)
        handle = _register(hooks.save, hook, hooks.save_returns_none)
        hooks.save_returns_none[handle.id] = True
        return handle

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return _register(_hooks_of(self).save, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook` before the module's own entries are loaded.

        Its arguments are the module and those of `_load_from_state_dict`.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        hooks = _hooks_of(self)
        handle = _register(hooks.load_pre, hook, hooks.load_pre_with_module)
        if with_module:
            hooks.load_pre_with_module[handle.id] = True
        return handle

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after the module and its children are loaded.

        It may change the two lists of keys in place and must return None.
        """
        return _register(_hooks_of(self).load_post, hook)

    def get_extra_state(self) -> Any:
        """Return what else belongs to the module's state; a subclass that has such overrides it."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state: not overridden by this module")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` returned."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state: not overridden by this module")

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """Return an ordered dict of parameters, persistent buffers and extra state, the children's too.

        Same as torch.nn.Module.state_dict.

        Args:
            destination: the dict to fill; None makes one.
            prefix: put before each key.
            keep_vars: keep the parameters themselves instead of detached tensors that share their memory.
        """
        if args:
            import warnings

            warnings.warn(
                "Positional args are being deprecated, use kwargs instead.", FutureWarning, stacklevel=2
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata

        hooks = self._state_hooks
        if hooks is not None:
            for hook in hooks.save_pre.values():
                hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        if hooks is not None:
            for key, hook in hooks.save.items():
                new = hook(self, destination, prefix, local_metadata)
                if new is None:
                    continue
                if key in hooks.save_returns_none:
                    raise RuntimeError("state_dict post-hook must return None")
                destination = new
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the entries of `state_dict` into the parameters and buffers of the module and its children.

        Same as torch.nn.Module.load_state_dict.

        Args:
            strict: raise if the keys differ from those of `state_dict()`.
            assign: take the given tensors themselves, with their dtype and device, instead of copying.

        Returns:
            the missing and the unexpected keys.

        Raises:
            RuntimeError: keys or shapes differ; the message lists all of them.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        state: Any = OrderedDict(state_dict)
        if metadata is not None:
            state._metadata = metadata
        keys = _IncompatibleKeys([], [])
        errors: list[str] = []
        _load(self, state, "", metadata, assign, keys, errors)

        if strict:
            for kind, names in (("Unexpected", keys.unexpected_keys), ("Missing", keys.missing_keys)):
                if names:
                    quoted = ", ".join(f'"{name}"' for name in names)
                    errors.insert(0, f"{kind} key(s) in state_dict: {quoted}. ")
        if errors:
            lines = "\n\t".join(errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        return keys

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        hooks = self._state_hooks
        if hooks is not None:
            rest = (state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
            for hook_id, hook in hooks.load_pre.items():
                if hook_id in hooks.load_pre_with_module:
                    hook(self, *rest)
                else:
                    hook(*rest)

        own = {name: param for name, param in self._parameters.items() if param is not None}
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                own[name] = buffer
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, param in own.items():
            key = prefix + name
            if key in state_dict:
                error = _load_one(self, name, param, key, state_dict[key], assign)
                if error is not None:
                    error_msgs.append(error)
            elif strict:
                missing_keys.append(key)

        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if type(self).set_extra_state is not State.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)

        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    first, dot, _ = key[len(prefix) :].partition(".")
                    if first not in (self._modules if dot else own):
                        unexpected_keys.append(key)


def _register(hooks: Any, hook: Callable[..., Any], extra: Any = None) -> RemovableHandle:
    handle = RemovableHandle(hooks, extra_dict=extra)
    hooks[handle.id] = hook
    return handle


def _load(
    module: State,
    state_dict: Mapping[str, Any],
    prefix: str,
    metadata: Any,
    assign: bool,
    keys: _IncompatibleKeys,
    errors: list[str],
) -> None:
    """Load `module`, then each child from the entries that start with the child's name."""
    local_metadata = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
    if assign:
        local_metadata["assign_to_params_buffers"] = True
    module._load_from_state_dict(
        state_dict, prefix, local_metadata, True, keys.missing_keys, keys.unexpected_keys, errors
    )
    for name, child in module._modules.items():
        if child is not None:
            child_prefix = f"{prefix}{name}."
            child_state = {key: value for key, value in state_dict.items() if key.startswith(child_prefix)}
            _load(child, child_state, child_prefix, metadata, assign, keys, errors)
    hooks = module._state_hooks
    if hooks is not None:
        for hook in hooks.load_post.values():
            if hook(module, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to "
                    "return new "
                    "values, if incompatible_keys need to be modified, it should be done inplace."
                )


def _load_one(module: Any, name: str, param: Tensor, key: str, given: Any, assign: bool) -> str | None:
    """Copy `given` into `param`, or put it in its place; return what is wrong with it, if anything is."""
    if not isinstance(given, Tensor):
        return (
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
            "checkpoint "
            f"but received {type(given)}"
        )
    if param.dim() == 0 and given.dim() == 1 and given.shape[0] == 1:
        given = given[0]  # files of PyTorch 0.3 keep 0-d tensors as (1,)
    if given.shape != param.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, "
            f"the shape in current model is {param.shape}."
        )
    if param.is_meta and not given.is_meta and not assign:
        import warnings

        warnings.warn(
            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the "
            "current "
            "model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the state "
            "dictionary to "
            "their corresponding key in the module instead of copying them in place?)",
            stacklevel=2,
        )
    try:
        with pynn.no_grad():
            if not assign:
                param.copy_(given)
                return None
            if isinstance(param, Parameter):
                if isinstance(given, Parameter):
                    given.requires_grad_(param.requires_grad)
                else:
                    given = Parameter(given, requires_grad=param.requires_grad)
            setattr(module, name, given)
    except Exception as error:
        return (
            f'While copying the parameter named "{key}", whose dimensions in the model are {param.size()} '
            "and whose "
            f"dimensions in the checkpoint are {given.size()}, an exception occurred : {error.args}."
        )
    return None
