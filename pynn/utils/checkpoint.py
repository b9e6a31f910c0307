"""Trading time for memory: parts of a model are computed again in the backward pass. Names as in torch.utils.checkpoint."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pynn
from pynn import _C, Tensor
from pynn.autograd import Function, backward
from pynn.autograd.graph import saved_tensors_hooks

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "checkpoint",
    "checkpoint_sequential",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_early_stop",
    "set_device_states",
]


class CheckpointError(RuntimeError):
    """What was computed again is not what the forward pass saved."""


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The GPUs of the tensors among the arguments, and the states of their generators."""
    devices = sorted({t.get_device() for t in args if isinstance(t, Tensor) and t.device.type == "cuda"})
    return devices, [pynn.cuda.get_rng_state(d) for d in devices]


def set_device_states(devices: Sequence[int], states: Sequence[Tensor], *, device_type: Any = None) -> None:
    """Take back what get_device_states gave."""
    for device, state in zip(devices, states, strict=True):
        pynn.cuda.set_rng_state(state, device)


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Accepted without effect: a part is always computed to its end."""
    yield


def _random_state() -> Any:
    return pynn.get_rng_state(), pynn.cuda.get_rng_state_all() if pynn.cuda.is_available() else []


def _set_random_state(state: Any) -> None:
    pynn.set_rng_state(state[0])
    pynn.cuda.set_rng_state_all(state[1])


class _State:
    """Random numbers and autocast as they are now, to be the same when a part is computed again."""

    def __init__(self, random_numbers: bool) -> None:
        self._rng = _random_state() if random_numbers else None
        self._autocast = _C._autocast_on(), _C._autocast_dtype()

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        rng = _random_state() if self._rng is not None else None
        autocast = _C._set_autocast(*self._autocast)
        if self._rng is not None:
            _set_random_state(self._rng)
        try:
            yield
        finally:
            _C._set_autocast(*autocast)
            if rng is not None:
                _set_random_state(rng)


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tensors among `inputs` cut off from their graph."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}"
        )
    return tuple(x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in inputs)


class CheckpointFunction(Function):
    """The reentrant way: no graph in the forward pass, a graph of its own within the backward pass."""

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:  # type: ignore[override]
        ctx.run_function = run_function
        ctx.state = _State(preserve_rng_state)
        ctx.places = [i for i, x in enumerate(args) if isinstance(x, Tensor)]
        ctx.others = [None if isinstance(x, Tensor) else x for x in args]
        ctx.save_for_backward(*(args[i] for i in ctx.places))
        with pynn.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # type: ignore[override]
        inputs = list(ctx.others)
        for i, t in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[i] = t
        detached = detach_variable(tuple(inputs))
        with ctx.state.again(), pynn.enable_grad():
            outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = [
            (out, g)
            for out, g in zip(outputs, grads, strict=True)
            if isinstance(out, Tensor) and out.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([out for out, _ in pairs], [g for _, g in pairs])
        return (None, None, *(x.grad if isinstance(x, Tensor) else None for x in detached))


class _Frame:
    """What one checkpointed call saved in the forward pass, as numbers, and how to get it back."""

    def __init__(
        self, function: Any, args: Any, kwargs: Any, state: _State, context: Any, check: bool
    ) -> None:
        self._call = function, args, kwargs
        self._state, self._context, self._check = state, context, check
        self._saved: list[tuple[Any, ...]] = []  # shape, dtype and device of each
        self._again: dict[int, Tensor] = {}

    def pack(self, t: Tensor) -> int:
        self._saved.append((tuple(t.shape), t.dtype, t.device))
        return len(self._saved) - 1

    def unpack(self, i: int) -> Tensor:
        if i not in self._again:
            self._compute()
        return self._again.pop(i)

    def _compute(self) -> None:
        again: list[Tensor] = []

        def pack(t: Tensor) -> Tensor:
            again.append(t.detach())
            return t.detach()

        function, args, kwargs = self._call
        with self._state.again(), pynn.enable_grad(), self._context, saved_tensors_hooks(pack, lambda t: t):
            function(*args, **kwargs)
        if len(again) != len(self._saved):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation, got {len(self._saved)} and {len(again)}"
            )
        for i, (t, saved) in enumerate(zip(again, self._saved, strict=True)):
            if self._check and (tuple(t.shape), t.dtype, t.device) != saved:
                raise CheckpointError(
                    "checkpoint: Recomputed values for the following tensors have different metadata than during "
                    f"the forward pass, got tensor {i} of {saved} and of {(tuple(t.shape), t.dtype, t.device)}"
                )
        self._again = dict(enumerate(again))


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), without keeping what its backward needs: that is computed again.

    Same as torch.utils.checkpoint.checkpoint.

    Args:
        use_reentrant: False lets the saved tensors be made again when they are asked for; True (the default, with a
            warning) runs a backward pass within the backward pass, takes no keywords, and needs an argument that
            requires grad.
        context_fn: gives the contexts of the first and of the second computation.
        determinism_check: "default" compares shapes and dtypes of both, "none" does not.
        preserve_rng_state: draw the same random numbers again; True by default.

    Raises:
        CheckpointError: the second computation saves something else.
    """
    if use_reentrant is None:
        warnings.warn(
            "checkpoint: use_reentrant should be passed explicitly (use_reentrant=False is recommended)",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        if not any(isinstance(x, Tensor) and x.requires_grad for x in args):
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'], but got {determinism_check}"
        )
    first, second = context_fn()
    if not pynn.is_grad_enabled():
        return function(*args, **kwargs)
    frame = _Frame(function, args, kwargs, _State(preserve), second, determinism_check == "default")
    with saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A Sequential in `segments` checkpointed parts; the last is kept. Same as torch.utils.checkpoint.checkpoint_sequential."""
    if use_reentrant is None:
        warnings.warn(
            "checkpoint_sequential: use_reentrant should be passed explicitly (use_reentrant=False is recommended)",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if isinstance(functions, pynn.nn.Sequential):
        functions = list(functions.children())

    def part(fns: Sequence[Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for f in fns:
                x = f(x)
            return x

        return run

    size = len(functions) // segments
    for start in range(0, size * (segments - 1), size) if size else ():
        input = checkpoint(
            part(functions[start : start + size]),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve,
        )
    return part(functions[size * (segments - 1) :])(input)
