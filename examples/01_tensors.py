"""Tensors: arrays with a dtype and a shape, views of the same memory, and products.

Run: pynn run examples/01_tensors.py
"""

import torch

x = torch.arange(12.0).view(3, 4)
print(x, x.shape, x.dtype)

# A view shares memory with what it was made of; writing to one changes both.
column = x[:, 1]
column += 100
print("after the column was written to:\n", x)
print("strides of x and its transpose:", x.stride(), x.t().stride())

# Sizes of 1 stretch to fit: (3, 4) * (4,) and (3, 1) - (1, 4).
print((x * torch.tensor([1.0, 0.0, 0.0, 1.0])).sum(dim=0))
print((torch.arange(3)[:, None] - torch.arange(4)[None]).abs())

# The layer y = x W^T + b, by hand and by name.
weight, bias = torch.randn(2, 4), torch.zeros(2)
by_hand = x @ weight.t() + bias
print("same result:", torch.allclose(by_hand, torch.nn.functional.linear(x, weight, bias)))

# The functions of the lesson, on the same five numbers.
z = torch.linspace(-2, 2, 5)
for f in (torch.sigmoid, torch.tanh, torch.relu, lambda z: torch.softmax(z, dim=0)):
    print([round(v, 4) for v in f(z).tolist()])

# To NumPy and back without a copy.
array = x.numpy()
array[0, 0] = -1
print("NumPy wrote here:", x[0, 0].item())
