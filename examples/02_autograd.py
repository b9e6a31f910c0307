"""Derivatives: the graph of what ran, backward through it, and gradient descent by hand.

Run: pynn run examples/02_autograd.py
"""

import common
import torch

args = common.options(__doc__, steps=(200, 20))

# Each operation on a tensor that requires a gradient adds a node; backward() walks them in reverse.
w = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
y = (w.sigmoid() * w).sum()
y.backward()
print("graph ends in", y.grad_fn)
print("gradient by backward:          ", w.grad)

# The same by finite differences: (f(w + h) - f(w - h)) / 2h.
h, flat = 1e-3, w.detach().double()
f = lambda v: (v.sigmoid() * v).sum()  # noqa: E731
print(
    "gradient by finite differences:",
    torch.stack([(f(flat + h * e) - f(flat - h * e)) / (2 * h) for e in torch.eye(3).double()]),
)

# Derivatives of derivatives: the curve x^3 has slope 3x^2 and curvature 6x.
x = torch.tensor(2.0, requires_grad=True)
(slope,) = torch.autograd.grad(x**3, x, create_graph=True)
(curvature,) = torch.autograd.grad(slope, x)
print(f"x = 2: slope {slope.item():g}, curvature {curvature.item():g}")

# Gradient descent on the mean squared error of a line through noisy points.
points = torch.linspace(-1, 1, 100)
values = 3 * points + 0.5 + 0.2 * torch.randn(100)
slope, intercept = torch.zeros((), requires_grad=True), torch.zeros((), requires_grad=True)
losses = []
for _ in common.progress(range(args.steps), "line"):
    loss = ((slope * points + intercept - values) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        for p in (slope, intercept):
            p -= 0.1 * p.grad
            p.grad = None
    losses.append(loss.item())
print(f"line: y = {slope.item():.3f} x + {intercept.item():.3f}, mean squared error {losses[-1]:.4f}")
common.plot(args.out / "02_autograd.png", mean_squared_error=losses)
