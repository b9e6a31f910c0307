"""Module, the base of everything with parameters.

Note [Members are attributes]
`_parameters`, `_buffers` and `_modules` are ordered mappings, as in PyTorch, and each entry is a plain
attribute of the instance as well, so that `self.weight` costs what any attribute costs. `_members.py` keeps
the two together. Instances are written with object.__setattr__, never through `__dict__`: CPython 3.11 and
3.12 read an attribute four times slower once an instance's `__dict__` was asked for.

Note [Failing submodule]
When a forward raises, each module on the way out looks up the path of the one that failed and renews one note
on the error, so that the outermost leaves the full path there. Calls that succeed pay nothing for it.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from pynn import _C, Tensor

from ..parameter import Buffer, Parameter
from ._call_hooks import CallHooks
from ._call_hooks import register_module_forward_hook as register_module_forward_hook
from ._call_hooks import register_module_forward_pre_hook as register_module_forward_pre_hook
from ._call_hooks import register_module_full_backward_hook as register_module_full_backward_hook
from ._call_hooks import register_module_full_backward_pre_hook as register_module_full_backward_pre_hook
from ._convert import Convert
from ._members import Members
from ._state import _EXTRA_STATE_KEY_SUFFIX as _EXTRA_STATE_KEY_SUFFIX
from ._state import State, _IncompatibleKeys
from ._traverse import Traverse

__all__ = [
    "Module",
    "_IncompatibleKeys",
]

_FIELDS = frozenset(("_parameters", "_buffers", "_modules"))
_set = object.__setattr__


class Module(CallHooks, State, Traverse, Convert):
    """Base class of all neural network modules. Same as torch.nn.Module.

    A subclass calls `super().__init__()`, assigns parameters and modules as attributes and has a `forward`.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = nn.Linear(4, 2)
        ...     def forward(self, x):
        ...         return self.layer(x).relu()
        >>> Net()(pynn.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    dump_patches = False
    call_super_init = False
    training: bool
    # None until __init__ has run.
    _parameters: Any = None
    _buffers: Any = None
    _modules: Any = None
    # forward followed by ReLU, of classes whose kernel does both in one pass; see Sequential.
    _with_relu: Any = None
    _members_are_attributes = True  # but in classes with a __getattr__ or __setattr__ of their own

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in cls.__dict__ and "_with_relu" not in cls.__dict__:
            cls._with_relu = None
        cls._members_are_attributes = (
            cls.__getattr__ is Module.__getattr__ and cls.__setattr__ is Module.__setattr__
        )
        if cls._members_are_attributes and cls.__getattribute__ is object.__getattribute__:
            _C._use_plain_getattr(
                cls
            )  # CPython below 3.12 reads attributes slowly in a class with __getattr__

    def __getattr__(self, name: str) -> Any:
        # For subclasses whose own __getattr__ calls it: their members are no attributes, so that it is asked for them.
        for field in _FIELDS:
            members = object.__getattribute__(self, field)
            if members is not None and name in members:
                return members[name]
        return object.__getattribute__(self, name)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if (args or kwargs) and not self.call_super_init:
            name = type(self).__name__
            if kwargs:
                raise TypeError(
                    f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            raise TypeError(f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        if self._parameters is not None:  # a second __init__ (a diamond of classes) begins anew
            for field in _FIELDS:
                getattr(self, field).clear()
            if "_hooks" in vars(self):
                object.__delattr__(self, "_hooks")
        owner = ref(self)
        _set(self, "training", True)
        _set(self, "_parameters", Members(owner))
        _set(self, "_buffers", Members(owner))
        _set(self, "_modules", Members(owner))
        _set(self, "_non_persistent_buffers_set", set())
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return self._call_with_hooks(args, kwargs)
        except Exception as error:
            _note_failing_submodule(self, error)
            raise

    def _call_with_relu(self, input: Any) -> Any:
        try:
            return self._with_relu(input)
        except Exception as error:
            _note_failing_submodule(self, error)
            raise

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output.

        Every subclass overrides it; call the module itself, which runs the hooks.
        """
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name`; None reserves the name.

        Same as torch.nn.Module.register_parameter.
        """
        params = _members_of(self, "_parameters")
        if params is None:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        _check_name(self, "parameter", name, params)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{_typename(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                    f"explicitly. To express '{name}' as a function of another Tensor, compute the value in "
                    "the "
                    "forward() method."
                )
        params[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but no parameter, for example running means.

        Same as torch.nn.Module.register_buffer.

        Args:
            persistent: whether it belongs to the state dict.
        """
        buffers = _members_of(self, "_buffers")
        if buffers is None:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        _check_name(self, "buffer", name, buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (torch Tensor or None "
                "required)"
            )
        buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under `name`. Same as torch.nn.Module.add_module."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        modules = _members_of(self, "_modules")
        if modules is None:
            raise AttributeError("cannot assign module before Module.__init__() call")
        _check_name(self, "module", name, modules)
        modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Same as `add_module`."""
        self.add_module(name, module)

    def __setattr__(self, name: str, value: Any) -> None:
        params = self._parameters
        is_tensor = isinstance(value, Tensor)  # asked first: isinstance(value, Parameter) says no slowly
        if is_tensor and isinstance(value, Parameter):
            if params is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            if name not in params:
                _remove(self, name, "_buffers", "_modules")
                if hasattr(self, name):
                    _remove_plain(self, name)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if params is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            _remove(self, name, "_parameters", "_buffers")
            if hasattr(type(self), name):  # which hides the module: nothing else may stand in its place
                _remove_plain(self, name)
            _members_of(self, "_modules")[name] = value
        elif params is None:
            super().__setattr__(name, value)
        elif name in params:
            if value is not None:
                raise TypeError(_wrong(value, f"parameter '{name}'", "torch.nn.Parameter"))
            self.register_parameter(name, None)
        elif name in self._modules:
            if value is not None:
                raise TypeError(_wrong(value, f"child module '{name}'", "torch.nn.Module"))
            _members_of(self, "_modules")[name] = None
        elif is_tensor and isinstance(value, Buffer):
            self.register_buffer(name, value, value.persistent)  # type: ignore[attr-defined]
        elif name in self._buffers:
            if value is not None and not is_tensor:
                raise TypeError(_wrong(value, f"buffer '{name}'", "torch.nn.Buffer, torch.Tensor"))
            _members_of(self, "_buffers")[name] = value
        elif name in _FIELDS:
            _replace_members(self, name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        for field in ("_parameters", "_buffers", "_modules"):
            members = _members_of(self, field)
            if members is not None and name in members:
                del members[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        _set(self, "__dict__", dict(state))  # fast again: see Note [Members are attributes]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            derived = getattr(type(self), name, None)  # what PyTorch's modules keep and ours compute
            if name not in _FIELDS and not (isinstance(derived, property) and derived.fset is None):
                _set(self, name, value)
        for field in _FIELDS:
            if field in state:
                _set(self, field, Members(ref(self), state[field]))

    def __dir__(self) -> list[str]:
        members = (name for field in _FIELDS for name in getattr(self, field) or ())
        return sorted({name for name in (*super().__dir__(), *members) if not name[:1].isdigit()})

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """Return what `repr` shows of the module itself, between the parentheses."""
        return ""

    def __repr__(self) -> str:
        own = self.extra_repr()
        lines = own.split("\n") if own else []
        if len(lines) <= 1 and not self._modules:
            return f"{self._get_name()}({own})"
        for name, module in self._modules.items():
            lines.append(f"({name}): {_indent(repr(module))}")
        return self._get_name() + "(\n  " + "\n  ".join(lines) + "\n)"


def _indent(text: str) -> str:
    """Indent all lines but the first by two spaces; empty lines stay empty."""
    return "\n".join(
        line if i == 0 or not line.strip() else "  " + line for i, line in enumerate(text.split("\n"))
    )


def _typename(value: Any) -> str:
    """Name of the type of `value` as PyTorch's messages have it."""
    if isinstance(value, Tensor):
        return value.type()
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _wrong(value: Any, place: str, expected: str) -> str:
    return f"cannot assign '{_typename(value)}' as {place} ({expected} or None expected)"


def _check_name(module: Module, kind: str, name: str, members: Members) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
    if hasattr(module, name) and name not in members:
        raise KeyError(f"attribute '{name}' already exists")
    if "." in name:
        got = f", got: {name}" if kind == "module" else ""
        raise KeyError(f'{kind} name can\'t contain "."{got}')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')


def _members_of(module: Module, field: str) -> Any:
    """Return the module's mapping; rebind it if a subclass's own __setstate__ brought one of another kind."""
    members = getattr(module, field)
    if members is None or (type(members) is Members and members.belongs_to(module)):
        return members
    members = Members(ref(module), members)
    _set(module, field, members)
    return members


def _replace_members(module: Module, field: str, new: Any) -> None:
    """Take `module._modules = {...}`: drop the attributes of the old members, add those of the new."""
    new = dict(new)  # the new mapping may be made from the old
    _members_of(module, field).clear()
    _set(module, field, Members(ref(module), new))


def _remove(module: Module, name: str, *fields: str) -> None:
    for field in fields:
        members = _members_of(module, field)
        if name in members:
            del members[name]
            module._non_persistent_buffers_set.discard(name)


def _remove_plain(module: Module, name: str) -> None:
    try:
        object.__delattr__(module, name)
    except AttributeError:
        pass  # an attribute of the class: register_parameter says so


def _note_failing_submodule(module: Module, error: Exception) -> None:
    """See Note [Failing submodule]."""
    if not hasattr(error, "add_note") or module._modules is None:
        return  # Python 3.10 has no notes; before Module.__init__ there are no children
    try:
        _renew_note(module, error)
    except Exception:
        pass  # an error that takes no attributes (a frozen dataclass) goes on without a note


def _renew_note(module: Module, error: Exception) -> None:
    """The error carries (id of the module it left last, path from there to the one that failed, the note)."""
    left, path, note = getattr(error, "_pynn_failing", (None, "", None))
    notes = getattr(error, "__notes__", [])
    if note in notes:
        notes.remove(note)
        note = None
    found = next((name for name, child in module.named_modules() if id(child) == left), None)
    if found is None:
        path = ""  # it failed here, or in a module that is no registered child
    elif found:
        path = f"{found}.{path}" if path else found
    if path:
        note = f"raised in submodule {path} of {type(module).__name__}"
        error.add_note(note)  # type: ignore[attr-defined]
    error._pynn_failing = (id(module), path, note)  # type: ignore[attr-defined]
