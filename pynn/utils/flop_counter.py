"""Counts the floating point operations of products, convolutions and attention. Names as in torch.utils.flop_counter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import pynn
from pynn import Tensor
from pynn.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from pynn.overrides import TorchFunctionMode

__all__ = ["FlopCounterMode"]


def _product(a: Sequence[int], b: Sequence[int], out: Sequence[int]) -> int:
    return 2 * prod(out) * a[-1]


def _added_product(c: Sequence[int], a: Sequence[int], b: Sequence[int], out: Sequence[int]) -> int:
    return _product(a, b, out)


def _linear(x: Sequence[int], w: Sequence[int], *rest: Sequence[int]) -> int:
    return 2 * prod(x) * w[0]


def _convolution(x: Sequence[int], w: Sequence[int], *rest: Sequence[int]) -> int:
    return 2 * prod(rest[-1]) * prod(w[1:])  # of each output: the weights that meet it


def _transposed(x: Sequence[int], w: Sequence[int], *rest: Sequence[int]) -> int:
    return 2 * prod(x) * prod(w[1:])


def _attention(q: Sequence[int], k: Sequence[int], v: Sequence[int], *rest: Sequence[int]) -> int:
    return 2 * prod(q[:-1]) * k[-2] * (q[-1] + v[-1])


def _formulas() -> dict[Any, Callable[..., int]]:
    """Of functions and methods: from the shapes of the arguments that are tensors, and of the result."""
    nn, methods = pynn.nn.functional, vars(Tensor)
    found: dict[Any, Callable[..., int]] = {pynn.matmul: _matmul, methods["matmul"]: _matmul}
    for name, formula in (
        ("mm", _product),
        ("bmm", _product),
        ("addmm", _added_product),
        ("baddbmm", _added_product),
    ):
        found[getattr(pynn, name)] = found[methods[name]] = formula
    found[nn.linear], found[nn.scaled_dot_product_attention] = _linear, _attention
    for n in "123":
        found[getattr(nn, f"conv{n}d")] = _convolution
        found[getattr(nn, f"conv_transpose{n}d")] = _transposed
    return found


def _matmul(a: Sequence[int], b: Sequence[int], out: Sequence[int]) -> int:
    return _product(a, b, out) if len(a) > 1 and len(b) > 1 else 0  # PyTorch counts no vectors


class FlopCounterMode(TorchFunctionMode):
    """A with block that counts: two operations for each multiplication of a product with its addition.

    What backward does is counted where it runs in the block: as much again for each operand that requires a gradient,
    and 5/2 of the forward for attention. einsum and recurrent layers are not counted. Same as
    torch.utils.flop_counter.FlopCounterMode.

    Args:
        mods: accepted without effect: modules are counted as they are called, by the name of the first one.
        depth: how far down the table shows modules.
        display: print the table at the end.
        custom_mapping: more functions, each with its formula from the shapes of its tensors and out_shape=.
    """

    def __init__(
        self,
        mods: Any = None,
        depth: int = 2,
        display: bool = True,
        custom_mapping: dict[Any, Any] | None = None,
    ) -> None:
        super().__init__()
        self.depth, self.display = depth, display
        self.flop_counts: dict[str, dict[Any, int]] = {"Global": {}}
        self._formulas = _formulas()
        self._custom = dict(custom_mapping or {})
        self._on = False
        self._names: dict[int, str] = {}  # of modules, by id
        self._inside: list[str] = ["Global"]
        self._handles: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        shapes = [tuple(t.shape) for t in tensors]
        if func in self._custom:
            self._add(func, self._custom[func](*shapes, out_shape=tuple(result.shape)), self._inside)
        elif func in self._formulas:
            flops = self._formulas[func](*shapes, tuple(result.shape))
            self._add(func, flops, self._inside)
            if result.grad_fn is not None:
                attention = func is pynn.nn.functional.scaled_dot_product_attention
                operands = tensors[1:3] if self._formulas[func] is _added_product else tensors[:2]
                again = flops * 5 // 2 if attention else flops * sum(t.requires_grad for t in operands)
                inside = list(self._inside)
                result.grad_fn.register_prehook(
                    lambda gradients: self._add(func, again, inside) if self._on else None
                )
        return result

    def _add(self, func: Any, flops: int, inside: list[str]) -> None:
        for name in set(inside):
            counts = self.flop_counts.setdefault(name, {})
            counts[func] = counts.get(func, 0) + flops

    def _enter(self, module: Any, args: Any) -> None:
        name = self._names.setdefault(id(module), type(module).__name__)
        for part, child in module.named_children():
            self._names.setdefault(id(child), f"{name}.{part}")
        self._inside.append(name)

    def _leave(self, module: Any, args: Any, output: Any) -> None:
        self._inside.pop()

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts = {"Global": {}}
        self._names.clear()
        self._inside = ["Global"]
        self._handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]
        self._on = True
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        super().__exit__(exc_type, exc_value, traceback)
        self._on = False
        for handle in self._handles:
            handle.remove()
        if self.display:
            print(self.get_table())

    def get_total_flops(self) -> int:
        """All that was counted."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """{module: {function: operations}}; "Global" has all."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """A line for each module down to `depth`, and for each function in it."""
        depth = self.depth if depth is None else depth
        total = max(self.get_total_flops(), 1)

        def line(name: str, flops: int) -> str:
            return f"{name:40}{flops:>20,}{100 * flops / total:>9.2f}%"

        lines = [f"{'Module':40}{'FLOP':>20}{'% Total':>10}"]
        for module, counts in self.flop_counts.items():
            level = 0 if module == "Global" else module.count(".") + 1
            if level > depth:
                continue
            lines.append(line(" " * level + module, sum(counts.values())))
            lines += [line(f"{' ' * level} - {f.__name__}", flops) for f, flops in counts.items()]
        return "\n".join(lines)
