"""Gradients compared with finite differences: `gradcheck` and, for derivatives of derivatives, `gradgradcheck`.

The Jacobian of a function f at x is built twice. Numerically, column j is (f(x + eps e_j) - f(x - eps e_j)) / 2 eps;
by backward, row i is the gradient of output i. In fast mode only the number u' J v is compared, for random u and v.
A function of complex numbers is checked as one of their parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pynn
from pynn._C import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """Raised when a gradient disagrees with its finite differences."""


def _as_tuple(x: Any) -> tuple[Any, ...]:
    if isinstance(x, tuple):
        return x
    return tuple(x) if isinstance(x, list) else (x,)


def _differentiable(outputs: Any) -> tuple[Tensor, ...]:
    return tuple(o for o in _as_tuple(outputs) if isinstance(o, Tensor) and o.requires_grad)


def _real_outputs(outputs: Any) -> list[Tensor]:
    return [o for o in _as_tuple(outputs) if isinstance(o, Tensor) and o.is_floating_point()]


def _not_supported(**options: bool) -> None:
    for name, value in options.items():
        if value:
            raise NotImplementedError(
                f"gradcheck: {name} needs forward-mode or batched differentiation, which pynn does not have, "
                f"got {name}=True (leave it False)"
            )


def _of_parts(func: Callable[..., Any], inputs: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """`func` and its arguments with pairs of real numbers, along a last dim, for complex ones that require grad."""
    args = _as_tuple(inputs)
    pairs = [isinstance(x, Tensor) and x.is_complex() and x.requires_grad for x in args]

    def real_func(*xs: Any) -> tuple[Any, ...]:
        outputs = func(*(pynn.view_as_complex(x) if p else x for p, x in zip(pairs, xs, strict=True)))
        return tuple(_parts(o) for o in _as_tuple(outputs))

    return real_func, tuple(
        _parts(x.detach()).requires_grad_() if p else x for p, x in zip(pairs, args, strict=True)
    )


def _parts(x: Any) -> Any:
    return pynn.view_as_real(x) if isinstance(x, Tensor) and x.is_complex() else x


def _check_inputs(inputs: tuple[Any, ...]) -> list[int]:
    """The positions of the inputs to differentiate; raises when one of them cannot be perturbed."""
    where = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not where:
        raise ValueError("gradcheck: at least one input must be a tensor with requires_grad=True, got none")
    for i in where:
        x = inputs[i]
        if not x.is_floating_point():
            raise ValueError(
                f"gradcheck: inputs must be floating point or complex, got {x.dtype} for input {i}"
            )
        if x.dtype != pynn.float64:
            import warnings

            warnings.warn(
                f"gradcheck: input {i} is {x.dtype}; finite differences need float64 to be trusted",
                stacklevel=3,
            )
        if x.numel() and any(st == 0 and size > 1 for st, size in zip(x.stride(), x.shape, strict=True)):
            raise RuntimeError(
                f"gradcheck: inputs must not overlap in memory, got stride {x.stride()} for shape "
                f"{tuple(x.shape)} of input {i} (clone an expanded tensor first)"
            )
    return where


def _positions(x: Tensor) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(n) for n in x.shape))


def _evaluate(func: Callable[..., Any], inputs: tuple[Any, ...]) -> list[Tensor]:
    return [o.detach().clone() for o in _real_outputs(func(*inputs))]


def _shifted(func: Callable[..., Any], inputs: tuple[Any, ...], x: Tensor, shift: Tensor) -> list[Tensor]:
    """The outputs with `shift` added to input `x`, which is put back afterwards."""
    data = x.data
    before = data.clone()
    data.add_(shift)
    try:
        return _evaluate(func, inputs)
    finally:
        data.copy_(before)


def _numerical_columns(func: Any, inputs: tuple[Any, ...], x: Tensor, eps: float) -> Iterator[list[Tensor]]:
    """For every element of `x`: d outputs / d element."""
    data = x.data
    for at in _positions(x):
        before = data[at].item()
        try:
            data[at] = before + eps
            high = _evaluate(func, inputs)
            data[at] = before - eps
            low = _evaluate(func, inputs)
        finally:
            data[at] = before
        yield [(h - lo) / (2 * eps) for h, lo in zip(high, low, strict=True)]


def _numerical_jacobians(
    func: Any, inputs: tuple[Any, ...], x: Tensor, outputs: list[Tensor], eps: float
) -> Any:
    columns = list(_numerical_columns(func, inputs, x, eps))
    jacobians = []
    for k, o in enumerate(outputs):
        jacobian = pynn.zeros(x.numel(), o.numel(), dtype=o.dtype, device=o.device)
        for j, column in enumerate(columns):
            jacobian[j] = column[k].reshape(-1)
        jacobians.append(jacobian)
    return jacobians


def _gradients(output: Tensor, xs: list[Tensor], seed: Tensor) -> tuple[Tensor | None, ...]:
    return pynn.autograd.grad([output], xs, [seed], retain_graph=True, allow_unused=True)


def _analytical_jacobian(output: Tensor, xs: list[Tensor]) -> list[Tensor]:
    """One matrix (input elements, output elements) per input."""
    jacobians = [pynn.zeros(x.numel(), output.numel(), dtype=x.dtype, device=x.device) for x in xs]
    for column, at in enumerate(_positions(output)):
        seed = pynn.zeros(output.shape, dtype=output.dtype, device=output.device)
        seed[at] = 1
        for jacobian, g in zip(jacobians, _gradients(output, xs, seed), strict=True):
            if g is not None:
                jacobian[:, column] = g.reshape(-1)
    return jacobians


def _check_gradient_kind(g: Tensor | None, x: Tensor, i: int, check_dtypes: bool) -> None:
    if g is None:
        return
    if tuple(g.shape) != tuple(x.shape):
        raise GradcheckError(
            f"gradcheck: a gradient must have its input's shape, got {tuple(g.shape)} for input {i} of shape "
            f"{tuple(x.shape)}"
        )
    if check_dtypes and g.dtype != x.dtype:
        raise GradcheckError(
            f"gradcheck: a gradient must have its input's dtype, got {g.dtype} for input {i} of {x.dtype}"
        )


def _mismatch(k: int, i: int, numerical: Any, analytical: Any, rtol: float, atol: float) -> GradcheckError:
    return GradcheckError(
        f"gradcheck: the gradient of output {k} with respect to input {i} must agree with finite differences to "
        f"rtol={rtol}, atol={atol}, got\nnumerical: {numerical}\nanalytical: {analytical}"
    )


def _check_slow(
    func: Any,
    inputs: tuple[Any, ...],
    where: list[int],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
) -> None:
    outputs = _real_outputs(func(*inputs))
    xs = [inputs[i] for i in where]
    analytical = [
        _analytical_jacobian(o, xs)
        if o.requires_grad
        else [pynn.zeros(x.numel(), o.numel(), dtype=x.dtype, device=x.device) for x in xs]
        for o in outputs
    ]
    for k, o in enumerate(outputs):
        again = _analytical_jacobian(o, xs) if o.requires_grad else analytical[k]
        for i, first, second in zip(where, analytical[k], again, strict=True):
            if not pynn.allclose(first, second, rtol=0.0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: two backward passes must give the same gradient to {nondet_tol}, got\n{first}\n"
                    f"then\n{second}\nfor output {k} and input {i}"
                )
    for position, i in enumerate(where):
        numerical = _numerical_jacobians(func, inputs, inputs[i], outputs, eps)
        for k, n in enumerate(numerical):
            a = analytical[k][position]
            if not pynn.allclose(a.to(n.dtype), n, rtol=rtol, atol=atol):
                raise _mismatch(k, i, n, a, rtol, atol)


def _unit(like: Tensor) -> Tensor:
    """A random direction of length 1, of the shape and dtype of `like`; 0 to 1 keeps terms from cancelling."""
    v = pynn.rand(tuple(like.shape), dtype=pynn.float64, generator=_generator())
    length = float(v.norm()) if v.numel() else 1.0
    return (v / (length or 1.0)).to(like.device, like.dtype)


def _generator() -> Any:
    # A stream of its own: checking gradients must not move the program's random numbers.
    global _stream
    if _stream is None:
        _stream = pynn.Generator()
        _stream.manual_seed(0)
    return _stream


_stream: Any = None


def _check_fast(
    func: Any,
    inputs: tuple[Any, ...],
    where: list[int],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
) -> None:
    outputs = _real_outputs(func(*inputs))
    xs = [inputs[i] for i in where]
    seeds = [_unit(o) for o in outputs]
    found = []
    for k, (o, u) in enumerate(zip(outputs, seeds, strict=True)):
        gradients = _gradients(o, xs, u) if o.requires_grad else (None,) * len(xs)
        again = _gradients(o, xs, u) if o.requires_grad else gradients
        for first, second in zip(gradients, again, strict=True):
            if first is not None and not pynn.allclose(
                first,
                second,  # type: ignore[arg-type]
                rtol=0.0,
                atol=nondet_tol,
                equal_nan=True,
            ):
                raise GradcheckError(
                    f"gradcheck: two backward passes must give the same gradient to {nondet_tol}, got\n{first}\n"
                    f"then\n{second}\nfor output {k}"
                )
        found.append(gradients)
    for position, i in enumerate(where):
        x = inputs[i]
        v = _unit(x)
        high = _shifted(func, inputs, x, v * eps)
        low = _shifted(func, inputs, x, v * -eps)
        for k, u in enumerate(seeds):
            numerical = float((u * (high[k] - low[k])).sum()) / (2 * eps)
            g = found[k][position]
            analytical = 0.0 if g is None else float((g * v).sum())
            if not abs(analytical - numerical) <= atol + rtol * abs(numerical):
                raise _mismatch(k, i, numerical, analytical, rtol, atol)


def _check(
    func: Any,
    inputs: tuple[Any, ...],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_grad_dtypes: bool,
    fast_mode: bool,
) -> None:
    where = _check_inputs(inputs)
    outputs = _differentiable(func(*inputs))
    if not outputs:
        # Nothing to differentiate is only right if nothing depends on the inputs.
        for i in where:
            for column in _numerical_columns(func, inputs, inputs[i], eps):
                if any(bool((c != 0).any()) for c in column):
                    raise GradcheckError(
                        f"gradcheck: outputs that depend on input {i} must require grad, got none that do"
                    )
        return
    for k, o in enumerate(outputs):
        seed = pynn.zeros(o.shape, dtype=o.dtype, device=o.device)
        gradients = _gradients(o, [inputs[i] for i in where], seed)
        for i, g in zip(where, gradients, strict=True):
            _check_gradient_kind(g, inputs[i], i, check_grad_dtypes)
            if g is not None and bool((g != 0).any()):
                raise GradcheckError(
                    f"gradcheck: a gradient of zeros must give zeros, got {g} from output {k} for input {i}"
                )
    (_check_fast if fast_mode else _check_slow)(func, inputs, where, eps, atol, rtol, nondet_tol)


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of `func` at `inputs` with central finite differences.

    Args:
        func: takes tensors, returns a tensor or a tuple of tensors.
        inputs: its arguments; those with `requires_grad=True` are checked and should be float64.
        eps: the step of the finite differences.
        atol, rtol: |analytical - numerical| <= atol + rtol |numerical| must hold for every element.
        raise_exception: raise on failure; otherwise return False.
        nondet_tol: by how much two backward passes may differ.
        check_grad_dtypes: a gradient's dtype must be its input's.
        fast_mode: compare one random projection of the Jacobian instead of all of it.

    Each output is differentiated alone, the others' gradients being undefined, whatever `check_undefined_grad`
    says; `masked` concerns sparse tensors and changes nothing.

    Raises:
        GradcheckError: a gradient is wrong, missing, of the wrong shape or not repeatable.
        NotImplementedError: forward-mode or batched checks are asked for.

    Same as torch.autograd.gradcheck for backward-mode gradients.
    """
    _not_supported(
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
        check_forward_ad=check_forward_ad,
    )
    if not check_backward_ad:
        raise AssertionError("gradcheck: check_forward_ad or check_backward_ad must be True, got neither")
    try:
        _check(*_of_parts(func, inputs), eps, atol, rtol, nondet_tol, check_grad_dtypes, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _random_grad(o: Tensor, noncontiguous: bool) -> Tensor:
    g = pynn.rand(tuple(o.shape), dtype=o.dtype, generator=_generator()).to(o.device) * 2 - 1
    if noncontiguous and g.numel() > 1:
        wide = pynn.zeros((*o.shape, 2), dtype=o.dtype, device=o.device)
        wide[..., 0] = g
        g = wide[..., 0]
    return g.detach().requires_grad_()


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Compare the gradients of the gradients of `func` with central finite differences.

    Differentiates (inputs, grad_outputs) -> gradients of `func`, with respect to both. Random `grad_outputs` are
    drawn when none are given. The other arguments are those of `gradcheck`.

    Same as torch.autograd.gradgradcheck for backward-mode gradients.
    """
    _not_supported(check_batched_grad=check_batched_grad, check_fwd_over_rev=check_fwd_over_rev)
    if not check_rev_over_rev:
        raise AssertionError(
            "gradgradcheck: check_fwd_over_rev or check_rev_over_rev must be True, got neither"
        )
    func, args = _of_parts(func, inputs)
    if grad_outputs is None:
        outputs = _differentiable(func(*args))
        seeds = tuple(_random_grad(o, gen_non_contig_grad_outputs) for o in outputs)
    else:
        seeds = tuple(
            _parts(g.detach()).requires_grad_() if g.is_complex() else g for g in _as_tuple(grad_outputs)
        )
    if not seeds:
        return gradcheck(func, args, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
    n = len(args)
    where = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]

    def gradients(*both: Any) -> tuple[Tensor, ...]:
        outs = _differentiable(func(*both[:n]))
        wanted = [both[i] for i in where]
        found = pynn.autograd.grad(outs, wanted, list(both[n:]), create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients,
        args + seeds,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        fast_mode=fast_mode,
    )
