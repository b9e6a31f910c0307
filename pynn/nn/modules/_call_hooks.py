"""Forward and backward hooks of a Module, and of all modules. Same as those of torch.nn.Module."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pynn.utils.hooks import RemovableHandle


class _Table:
    """The hooks of one module: id of the handle -> hook. Flags of a hook stand in dicts of their own."""

    def __init__(self) -> None:
        self.pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.pre_with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.forward: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.forward_with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.forward_always: OrderedDict[int, bool] = OrderedDict()
        self.backward: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.backward_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.backward_is_full: bool | None = None

    def __bool__(self) -> bool:
        return bool(self.pre or self.forward or self.backward or self.backward_pre)


_everywhere = _Table()  # the hooks of all modules; CallHooks._hooks while there are any


def _table(module: CallHooks) -> _Table:
    table = module._hooks
    if table is None or table is _everywhere:
        table = _Table()
        object.__setattr__(module, "_hooks", table)
    return table


def _field(name: str) -> Any:
    def read(self: CallHooks) -> Any:
        return getattr(_table(self), name)

    def write(self: CallHooks, value: Any) -> None:
        setattr(_table(self), name, value)

    return property(read, write)


class CallHooks:
    """What Module inherits for hooks on its call.

    `_hooks` stays None until there is one, of the module or of all, which keeps calls fast.
    """

    _hooks: _Table | None = None
    forward: Callable[..., Any]

    _forward_pre_hooks = _field("pre")
    _forward_pre_hooks_with_kwargs = _field("pre_with_kwargs")
    _forward_hooks = _field("forward")
    _forward_hooks_with_kwargs = _field("forward_with_kwargs")
    _forward_hooks_always_called = _field("forward_always")
    _backward_hooks = _field("backward")
    _backward_pre_hooks = _field("backward_pre")
    _is_full_backward_hook = _field("backward_is_full")

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before every forward; what it returns replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)` and returns None or `(args, kwargs)`.
        Same as torch.nn.Module.register_forward_pre_hook.
        """
        table = _table(self)
        handle = _register(table.pre, hook, prepend, table.pre_with_kwargs)
        if with_kwargs:
            table.pre_with_kwargs[handle.id] = True
        return handle

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after every forward; what it returns replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it also runs when
        the forward raised, with the output so far or None. Same as torch.nn.Module.register_forward_hook.
        """
        table = _table(self)
        handle = _register(table.forward, hook, prepend, [table.forward_with_kwargs, table.forward_always])
        if with_kwargs:
            table.forward_with_kwargs[handle.id] = True
        if always_call:
            table.forward_always[handle.id] = True
        return handle

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the module's backward; a returned tuple replaces it.

        Same as torch.nn.Module.register_full_backward_pre_hook.
        """
        return _register(_table(self).backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` in backward; a returned tuple replaces `grad_input`.

        Same as torch.nn.Module.register_full_backward_hook.
        """
        return self._register_backward_hook(hook, prepend, full=True)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` with the gradients of the forward's last op only.

        Deprecated in favour of `register_full_backward_hook`. Same as torch.nn.Module.register_backward_hook.
        """
        return self._register_backward_hook(hook, prepend=False, full=False)

    def _register_backward_hook(self, hook: Callable[..., Any], prepend: bool, full: bool) -> RemovableHandle:
        table = _table(self)
        if table.backward_is_full is not None and table.backward_is_full is not full:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. "
                "Please use only one of them."
            )
        table.backward_is_full = full
        return _register(table.backward, hook, prepend)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        table = self._hooks
        if table is not _everywhere:
            if not table:
                object.__delattr__(self, "_hooks")  # all are gone: calls are fast again
            table = _joined(_everywhere, table) if _everywhere and table else table or _everywhere
        if not table:
            return self.forward(*args, **kwargs)

        taps = None
        done: set[int] = set()  # ids of the hooks that were called
        result = None
        try:
            args, kwargs = _run_pre_hooks(self, table, args, kwargs)
            if table.backward_pre or (table.backward and table.backward_is_full):
                from ._backward_hooks import BackwardTaps

                full = list(table.backward.values()) if table.backward_is_full else []
                taps = BackwardTaps(self, full, list(table.backward_pre.values()))
                args = taps.tap_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in tuple(table.forward.items()):
                done.add(key)
                result = _run_forward_hook(self, table, key, hook, args, kwargs, result)
        except Exception:
            _run_always_called(self, table, done, args, kwargs, result)
            raise

        if taps is not None:
            result = taps.tap_outputs(result)
        if table.backward and not table.backward_is_full:
            from ._backward_hooks import hook_last_node

            hook_last_node(self, table.backward.values(), result)
        return result


def _joined(first: _Table, second: _Table) -> _Table:
    joined = _Table()
    for name, of_first in vars(first).items():
        if isinstance(of_first, OrderedDict):
            setattr(joined, name, of_first | getattr(second, name))
    joined.backward_is_full = (
        first.backward_is_full if second.backward_is_full is None else second.backward_is_full
    )
    return joined


class _HandleOfAll(RemovableHandle):
    def remove(self) -> None:
        super().remove()
        if not _everywhere:
            CallHooks._hooks = None


def _register_for_all(hooks: Any, hook: Callable[..., Any], extra: Any = None) -> RemovableHandle:
    handle = _HandleOfAll(hooks, extra_dict=extra)
    hooks[handle.id] = hook
    CallHooks._hooks = _everywhere
    return handle


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, args)` before every module's forward. Same as torch.nn.modules.module's."""
    return _register_for_all(_everywhere.pre, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after every module's forward. Same as torch.nn.modules.module's."""
    flags = [_everywhere.forward_with_kwargs, _everywhere.forward_always]
    handle = _register_for_all(_everywhere.forward, hook, flags)
    for wanted, flag in zip((with_kwargs, always_call), flags, strict=True):
        if wanted:
            flag[handle.id] = True
    return handle


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_output)` before every module's backward. Same as torch.nn.modules.module's."""
    return _register_for_all(_everywhere.backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` in every module's backward. Same as torch.nn.modules.module's."""
    _everywhere.backward_is_full = True
    return _register_for_all(_everywhere.backward, hook)


def _register(
    hooks: Any, hook: Callable[..., Any], prepend: bool = False, extra: Any = None
) -> RemovableHandle:
    handle = RemovableHandle(hooks, extra_dict=extra)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _run_pre_hooks(module: Any, table: _Table, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for key, hook in tuple(table.pre.items()):
        if key in table.pre_with_kwargs:
            new = hook(module, args, kwargs)
            if new is None:
                continue
            if not isinstance(new, tuple) or len(new) != 2:
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {new}."
                )
            args, kwargs = new
        else:
            new = hook(module, args)
            if new is not None:
                args = new if isinstance(new, tuple) else (new,)
    return args, kwargs


def _run_forward_hook(
    module: Any,
    table: _Table,
    key: int,
    hook: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Any,
) -> Any:
    if key in table.forward_with_kwargs:
        new = hook(module, args, kwargs, result)
    else:
        new = hook(module, args, result)
    return result if new is None else new


def _run_always_called(
    module: Any, table: _Table, done: set[int], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> None:
    """Run the `always_call` hooks that an error kept from running; an error of theirs only warns."""
    for key, hook in tuple(table.forward.items()):
        if key in done or key not in table.forward_always:
            continue
        try:
            result = _run_forward_hook(module, table, key, hook, args, kwargs, result)
        except Exception as error:
            import warnings

            warnings.warn(
                "module forward hook with ``always_call=True`` raised an exception that was silenced as "
                "another "
                f"error was raised in forward: {error}",
                stacklevel=2,
            )
