"""Hooks into the recorded graph."""

from __future__ import annotations

from _thread import _local
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn.autograd.grad_mode import no_grad

__all__ = [
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]

Node = _C._Node
_here = _local()  # of this thread: how many hooks are active, and why none may be


class saved_tensors_hooks:
    """While active, pack(tensor) replaces what ops keep for backward and unpack(object) brings it back.

    Same as torch.autograd.graph.saved_tensors_hooks.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        forbidden = getattr(_here, "forbidden", None)
        if forbidden is not None:
            raise RuntimeError(forbidden)
        _C._push_saved_hooks(self.pack_hook, self.unpack_hook)
        _here.active = getattr(_here, "active", 0) + 1

    def __exit__(self, *exc: object) -> None:
        _here.active -= 1
        _C._pop_saved_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Keep saved tensors in CPU memory. Same as torch.autograd.graph.save_on_cpu."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: (t.device, t.cpu()), lambda packed: packed[1].to(packed[0]))


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within it, entering saved_tensors_hooks raises. Same as torch.autograd.graph.disable_saved_tensors_hooks.

    Raises:
        RuntimeError: with this message, where such hooks are active already.
    """
    if getattr(_here, "active", 0):
        raise RuntimeError(error_message)
    before = getattr(_here, "forbidden", None)
    _here.forbidden = error_message
    try:
        yield
    finally:
        _here.forbidden = before


class _AllowMutationOnSavedContext:
    """`clear()` ends it early: what was saved can no longer be used."""

    def __init__(self) -> None:
        self.open = True

    def clear(self) -> None:
        self.open = False


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_AllowMutationOnSavedContext]:
    """Tensors saved for backward may be written to within it: backward sees them as they were.

    Ops keep copies, so that memory grows; backward must run within the context. Same as
    torch.autograd.graph.allow_mutation_on_saved_tensors.
    """
    if getattr(_here, "mutable", False):
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    context = _AllowMutationOnSavedContext()

    def unpack(copy: Tensor) -> Tensor:
        if not context.open:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' contextin which the graph was "
                "originally recorded."
            )
        return copy

    _here.mutable = True
    try:
        with saved_tensors_hooks(lambda t: t.clone(), unpack):
            yield context
    finally:
        _here.mutable = False
        context.clear()


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Count one more write in place, as if it had been made. Same as torch.autograd.graph.increment_version."""
    if not isinstance(tensor, (Tensor, list, tuple)):
        raise RuntimeError("increment_version expect a Iterable[Tensor] as input")
    with no_grad():
        for t in [tensor] if isinstance(tensor, Tensor) else tensor:
            t.as_strided((0,), (1,)).zero_()


# -- Hooks on several tensors -----------------------------------------------------------------------------------------

# What hooks have still to do when the running backward pass ends. Passes nest: each one ends what began in it.
_waiting: list[Callable[[bool], None]] = []


def _end_pass(mark: int, failed: bool) -> None:
    """For backward passes: call what came into _waiting after `mark`."""
    ended = _waiting[mark:]
    del _waiting[mark:]
    for end in ended:
        end(failed)


class _MultiHandle:
    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Take the hook away from all of its tensors."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _MultiHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all") -> Any:
    """Call fn once per backward pass. Same as torch.autograd.graph.register_multi_grad_hook.

    Args:
        mode: "all" calls fn(gradients) when there is one for each tensor, or when the pass ends, with None for those that
            got none; "any" calls fn(gradient) at the first.

    Returns:
        a handle with `remove()`.
    """
    from functools import partial

    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    if not all(t.requires_grad for t in tensors):
        raise AssertionError("Expected gradient function to be set")
    found: dict[int, Tensor] = {}

    def end(failed: bool) -> None:
        gradients = [found.get(i) for i in range(len(tensors))]
        found.clear()
        if mode == "all" and not failed:
            fn(gradients)

    def hook(i: int, gradient: Tensor) -> None:
        if not found:
            _waiting.append(end)
            if mode == "any":
                fn(gradient)
        found[i] = gradient
        if mode == "all" and len(found) == len(tensors):
            _waiting.remove(end)
            end(False)

    return _MultiHandle([t.register_hook(partial(hook, i)) for i, t in enumerate(tensors)])
