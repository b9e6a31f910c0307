"""Work that is captured once and replayed with one launch. Same as torch.cuda.CUDAGraph, graph and friends."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import pynn
from pynn.cuda._device import require, synchronize
from pynn.cuda.memory import empty_cache
from pynn.cuda.streams import Stream, StreamContext, current_stream

__all__ = ["CUDAGraph", "graph", "graph_pool_handle", "is_current_stream_capturing", "make_graphed_callables"]

_MODES = ("global", "thread_local", "relaxed")


def is_current_stream_capturing() -> bool:
    """Whether work is being captured rather than run."""
    return pynn.cuda.is_available() and require().is_capturing()


def graph_pool_handle() -> tuple[int, int]:
    """A name for memory that several graphs share, for their pool=."""
    return (0, require().new_graph_pool())


class CUDAGraph:
    """Captured work: kernels with the very addresses and numbers that they were captured with."""

    def __init__(self, keep_graph: bool = False) -> None:
        self._graph = require().Graph()

    def capture_begin(self, pool: tuple[int, int] | None = None, capture_error_mode: str = "global") -> None:
        """From here on, work of the current stream is recorded instead of run.

        Raises:
            RuntimeError: on the default stream, or where something was captured already.
        """
        if capture_error_mode not in _MODES:
            raise RuntimeError(
                f"capture_begin: capture_error_mode must be one of {', '.join(_MODES)}, got {capture_error_mode}"
            )
        self._graph.begin(pool[1] if pool else 0, _MODES.index(capture_error_mode))

    def capture_end(self) -> None:
        """The end of what is recorded."""
        self._graph.end()

    def replay(self) -> None:
        """Run it all, on the current stream."""
        self._graph.replay()

    def reset(self) -> None:
        """Forget what was captured, and give its memory back."""
        self._graph.reset()

    def pool(self) -> tuple[int, int]:
        """The name of its memory."""
        return (0, self._graph.pool)


class graph:
    """A with block whose work is captured, on a stream of its own (or the given one)."""

    _default_stream: Stream | None = None

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: tuple[int, int] | None = None,
        stream: Stream | None = None,
        capture_error_mode: str = "global",
    ) -> None:
        if stream is None:
            if graph._default_stream is None:
                graph._default_stream = Stream()
            stream = graph._default_stream
        self._graph, self._pool, self._mode = cuda_graph, pool, capture_error_mode
        self.capture_stream = stream
        self._context = StreamContext(stream)

    def __enter__(self) -> None:
        synchronize()
        gc.collect()
        empty_cache()
        self._context.__enter__()
        try:
            self._graph.capture_begin(self._pool, self._mode)
        except BaseException:
            self._context.__exit__()
            raise

    def __exit__(self, kind: Any, *error: Any) -> None:
        try:
            if kind is None:
                self._graph.capture_end()
            else:
                self._graph.reset()
        finally:
            self._context.__exit__()


def _flat(x: Any, out: list[Any]) -> Any:
    """Tensors in `x`, appended to `out`; `x` with their numbers instead."""
    if isinstance(x, pynn.Tensor):
        out.append(x)
        return len(out) - 1
    if isinstance(x, (list, tuple)):
        return type(x)(_flat(v, out) for v in x)
    if isinstance(x, dict):
        return {k: _flat(v, out) for k, v in x.items()}
    raise TypeError(
        f"make_graphed_callables: tensors in tuples, lists and dicts are required, got {type(x).__name__}"
    )


def _rebuilt(shape: Any, tensors: Sequence[Any]) -> Any:
    if isinstance(shape, int):
        return tensors[shape]
    if isinstance(shape, dict):
        return {k: _rebuilt(v, tensors) for k, v in shape.items()}
    return type(shape)(_rebuilt(v, tensors) for v in shape)


def make_graphed_callables(
    callables: Any,
    sample_args: Any,
    num_warmup_iters: int = 3,
    allow_unused_input: bool = False,
    pool: tuple[int, int] | None = None,
) -> Any:
    """Functions or modules whose forward and backward are each one captured graph. Same as torch.cuda's.

    Args:
        callables: one, or a tuple of them.
        sample_args: a tuple of tensors as they will be called with (a tuple of those for several callables): of
            the same shapes, dtypes and requires_grad.
        num_warmup_iters: runs before the capture, on a side stream.
        allow_unused_input: whether inputs may have no gradient.
        pool: memory to share with other graphs.

    Returns:
        The same callables; a module is returned itself, its forward replaced while in the mode (training or not)
        that it was captured in.
    """
    if not isinstance(callables, tuple):
        return _graphed(
            callables, sample_args, num_warmup_iters, allow_unused_input, pool or graph_pool_handle()
        )
    pool = pool or graph_pool_handle()
    return tuple(
        _graphed(c, a, num_warmup_iters, allow_unused_input, pool)
        for c, a in zip(callables, sample_args, strict=True)
    )


def _graphed(
    function: Callable[..., Any], sample: tuple[Any, ...], warmup: int, unused: bool, pool: tuple[int, int]
) -> Any:
    module = function if isinstance(function, pynn.nn.Module) else None
    weights = tuple(p for p in module.parameters()) if module is not None else ()
    static: list[Any] = []
    _flat(sample, static)
    wanted = [t for t in (*static, *weights) if t.requires_grad]

    def grads_of(outputs: list[Any], grads: list[Any]) -> Any:
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None]
        return pynn.autograd.grad(
            [o for o, _ in pairs], wanted, [g for _, g in pairs], only_inputs=True, allow_unused=unused
        )

    side = Stream()
    side.wait_stream(current_stream())
    with StreamContext(side):
        for _ in range(warmup):
            outputs: list[Any] = []
            _flat(function(*sample), outputs)
            if wanted:
                grads_of(outputs, [pynn.ones_like(o) if o.requires_grad else None for o in outputs])
    current_stream().wait_stream(side)

    forward, backward = CUDAGraph(), CUDAGraph()
    outputs = []
    with graph(forward, pool=pool, stream=side):
        result = function(*sample)
        shape = _flat(result, outputs)
    static_grads = [pynn.empty_like(o) if o.requires_grad else None for o in outputs]
    input_grads: list[Any] = []
    if wanted:
        with graph(backward, pool=pool, stream=side):
            input_grads = list(grads_of(outputs, static_grads))
    held = [o.detach() for o in outputs]

    class Replay(pynn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            for to, given in zip(static, inputs, strict=False):
                if to.data_ptr() != given.data_ptr():
                    to.detach().copy_(given)
            forward.replay()
            return tuple(o.detach() for o in held)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            for to, given in zip(static_grads, grads, strict=True):
                if to is not None and given is not None:
                    to.copy_(given)
            backward.replay()
            found = iter(input_grads)
            return tuple(
                (lambda g: None if g is None else g.detach())(next(found)) if t.requires_grad else None
                for t in (*static, *weights)
            )

    def run(*args: Any) -> Any:
        given: list[Any] = []
        _flat(args, given)
        return _rebuilt(shape, Replay.apply(*given, *weights))

    if module is None:
        return run
    eager, mode = module.forward, module.training
    module.forward = lambda *args: run(*args) if module.training == mode else eager(*args)  # type: ignore[method-assign]
    return module
