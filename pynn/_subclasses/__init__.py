"""Tensors without data that PyTorch's compiler runs programs with. Names as in torch._subclasses."""

from pynn._subclasses.fake_tensor import FakeTensor as FakeTensor
