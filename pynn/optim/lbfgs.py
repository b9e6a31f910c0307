"""LBFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pynn
from pynn import Tensor

from .optimizer import Optimizer, ParamsT, _check_lr


class _Point(NamedTuple):
    """A place on the line x + t d: the loss there, its gradient, and the slope along d."""

    t: float
    loss: float
    grad: Tensor
    slope: float


def _between(a: _Point, b: _Point, low: float, high: float) -> float:
    """The minimum, within the bounds, of the cubic through two points with their slopes."""
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    left, right = (a, b) if a.t <= b.t else (b, a)
    d2 = square**0.5
    at = right.t - (right.t - left.t) * (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2)
    return min(max(at, low), high)


def _strong_wolfe(
    evaluate: Callable[[float], _Point], start: _Point, t: float, longest: float, most: int, tolerance: float
) -> tuple[_Point, int]:
    """A point where loss and slope have fallen enough (Nocedal and Wright, algorithms 3.5 and 3.6).

    Returns it and the number of evaluations. `longest` is the largest element of the direction.
    """
    c1, c2 = 1e-4, 0.9
    enough = -c2 * start.slope

    def too_high(p: _Point) -> bool:
        return p.loss > start.loss + c1 * p.t * start.slope

    before, new = start, evaluate(t)
    evaluations, rounds, done = 1, 0, False
    bracket: list[_Point] = []
    while rounds < most:
        if (
            too_high(new)
            or (rounds > 1 and new.loss >= before.loss)
            or abs(new.slope) <= enough
            or new.slope >= 0
        ):
            fits = not too_high(new) and not (rounds > 1 and new.loss >= before.loss)
            done = fits and abs(new.slope) <= enough
            bracket = [new] if done else [before, new]
            break
        t = _between(before, new, new.t + 0.01 * (new.t - before.t), new.t * 10)
        before, new = new, evaluate(t)
        evaluations += 1
        rounds += 1
    if rounds == most:
        bracket = [start, new]

    stuck = False
    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    while not done and rounds < most:
        least, largest = sorted(p.t for p in bracket)
        if (largest - least) * longest < tolerance:
            break
        t = _between(bracket[0], bracket[1], least, largest)
        # A step too near an end twice in a row is moved inwards.
        margin = 0.1 * (largest - least)
        if min(largest - t, t - least) < margin:
            if stuck or t >= largest or t <= least:
                t = largest - margin if abs(t - largest) < abs(t - least) else least + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = evaluate(t)
        evaluations += 1
        rounds += 1
        if too_high(new) or new.loss >= bracket[low].loss:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        else:
            if abs(new.slope) <= enough:
                done = True
            elif new.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
    return bracket[low], evaluations


class LBFGS(Optimizer):
    """The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno (Liu and Nocedal 1989).

    Same as torch.optim.LBFGS. Each `step(closure)` makes up to `max_iter` iterations.

    Args:
        params: tensors of one group.
        lr: learning rate, the step size without line search.
        max_iter: iterations of a step.
        max_eval: evaluations of the closure in a step, 5/4 max_iter by default.
        tolerance_grad: end when no element of the gradient is larger.
        tolerance_change: end when neither parameters nor loss change by more.
        history_size: how many updates are remembered.
        line_search_fn: None or "strong_wolfe".

    Raises:
        ValueError: a negative learning rate, or several groups.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        _check_lr(lr)
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _flat_grad(self) -> Tensor:
        return pynn.cat(
            [(pynn.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in self._params]
        )

    def _move(self, t: float, direction: Tensor) -> None:
        at = 0
        for p in self._params:
            p.add_(direction[at : at + p.numel()].view(p.shape), alpha=t)
            at += p.numel()

    def _direction(self, grad: Tensor, state: dict[str, Any]) -> Tensor:
        """-H grad, H the inverse Hessian that the remembered changes of gradient and parameters suggest."""
        change, moved = grad - state["prev_flat_grad"], state["d"] * state["t"]
        product = change.dot(moved).item()
        changes, moves, inverses = state["old_dirs"], state["old_stps"], state["ro"]
        if product > 1e-10:
            if len(changes) == self.param_groups[0]["history_size"]:
                for history in (changes, moves, inverses):
                    history.pop(0)
            changes.append(change)
            moves.append(moved)
            inverses.append(1.0 / product)
            state["H_diag"] = product / change.dot(change).item()
        q = -grad
        weights = [0.0] * len(changes)
        for i in reversed(range(len(changes))):
            weights[i] = moves[i].dot(q).item() * inverses[i]
            q.add_(changes[i], alpha=-weights[i])
        d = q * state["H_diag"]
        for i in range(len(changes)):
            d.add_(moves[i], alpha=weights[i] - changes[i].dot(d).item() * inverses[i])
        return d

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Minimise what `closure` computes, with its gradients; return its first result."""
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        with pynn.no_grad():
            return self._minimise(closure)

    def _minimise(self, closure: Callable[[], Any]) -> Any:
        def evaluate() -> Any:
            with pynn.enable_grad():
                return closure()

        group = self.param_groups[0]
        lr, tolerance = float(group["lr"]), group["tolerance_change"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = evaluate()
        loss, evaluations = float(first), 1
        state["func_evals"] += 1
        grad = self._flat_grad()

        def flat() -> bool:
            return grad.abs().max().item() <= group["tolerance_grad"]

        if flat():
            return first
        for i in range(group["max_iter"]):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                state |= {"d": -grad, "old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1}
                t = min(1.0, 1.0 / grad.abs().sum().item()) * lr
            else:
                state.setdefault("al", [None] * group["history_size"])  # PyTorch's files have it
                state["d"] = self._direction(grad, state)
                t = lr
            d = state["d"]
            state |= {"prev_flat_grad": grad.clone(), "prev_loss": loss, "t": t}
            slope = grad.dot(d).item()
            if slope > -tolerance:
                break
            last = i + 1 == group["max_iter"]
            before, used = loss, 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                here = [p.clone() for p in self._params]

                def at(t: float, d: Tensor = d, here: list[Tensor] = here) -> _Point:
                    self._move(t, d)
                    value, g = float(evaluate()), self._flat_grad()
                    for p, x in zip(self._params, here, strict=True):
                        p.copy_(x)
                    return _Point(t, value, g, g.dot(d).item())

                start = _Point(0.0, loss, grad, slope)
                most = group["max_eval"] - evaluations
                best, used = _strong_wolfe(at, start, t, d.abs().max().item(), most, tolerance)
                _, loss, grad, _ = best
                state["t"] = t = best.t
                self._move(t, d)
            else:
                self._move(t, d)
                if not last:
                    loss, used = float(evaluate()), 1
                    grad = self._flat_grad()
            evaluations += used
            state["func_evals"] += used
            if last or evaluations >= group["max_eval"] or flat():
                break
            if (d * t).abs().max().item() <= tolerance or abs(loss - before) < tolerance:
                break
        return first
