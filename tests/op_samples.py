"""The samples that PyTorch tests its own operators with (`op_db`), run in pynn and in torch, everything compared."""

import itertools
import random
import sys
import types
import unittest
import warnings

import numpy as np
import pytest
from op_convert import (
    OtherStrides,
    Unavailable,
    alike,
    attempt,
    convert,
    counterpart,
    derivatives,
    describe,
    find,
    port,
    same,
    same_gradients,
    same_strides,
    spread,
    tensors_in,
)

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

if "expecttest" not in sys.modules:  # torch's test classes derive from its TestCase; nothing here uses them
    try:
        import expecttest  # noqa: F401
    except ImportError:
        sys.modules["expecttest"] = types.ModuleType("expecttest")
        sys.modules["expecttest"].TestCase = unittest.TestCase

try:
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db
except RuntimeError as e:  # a torch for CUDA finds another cuDNN than its own
    pytest.skip(f"PyTorch's samples cannot be imported: {e}", allow_module_level=True)

MODULES = [info for info in module_db if info.module_cls.__module__.startswith("torch.nn.modules")]
OPTIMIZERS = [info for info in optim_db if not info.only_supports_sparse_grads]

VALUES_OPEN = (  # memory that nobody wrote to
    "empty empty_like empty_permuted empty_strided new_empty new_empty_strided resize_ resize_as_"
).split()
ORDER_OPEN = "argsort kthvalue mode sort topk".split()  # which of equal elements comes first
NOTHING_OPEN = [  # PyTorch does not write the sum over no rows
    "nn.functional.multi_margin_loss",
    "nn.functional.multilabel_margin_loss",
]
SIGNS_OPEN = "linalg.eig linalg.eigh linalg.svd pca_lowrank svd svd_lowrank".split()
DTYPES = "float64 float32 int64 bool complex128 bfloat16 float16 uint8 int32 complex64".split()


def open_values(op, sample):
    """Whether the definition leaves the values open: unwritten memory, and draws that need not be PyTorch's."""
    return op.name in VALUES_OPEN or (
        op.name == "nn.functional.scaled_dot_product_attention" and sample.kwargs.get("dropout_p", 0) > 0
    )


class Checker:
    """All checks of one OpInfo; each raises at the first difference."""

    def __init__(self, op, scale=1.0):
        self.op, self.scale, self.dtype = op, scale, torch.float64
        self.dtypes = [getattr(torch, d) for d in DTYPES if getattr(torch, d) in op.dtypes]

    def samples(self, dtype, count, grad=False):
        self.dtype = dtype
        seed()
        found = self.op.sample_inputs_func(
            self.op, "cpu", dtype, grad
        )  # sample_inputs() formats a stack for each
        return spread(itertools.islice(found, 25 * count), count)

    def canonical(self, lib, result):
        """The result without what the definition leaves open."""
        if self.op.name in SIGNS_OPEN:
            return [t.abs() for t in tensors_in(result)]
        if self.op.name in ORDER_OPEN and self.dtype not in (torch.float64, torch.float32):
            return [lib.zeros_like(t) if t.dtype == lib.int64 else t for t in tensors_in(result)]
        return result

    def same(self, ours, theirs, where, values=True):
        same(self.canonical(pynn, ours), self.canonical(torch, theirs), where, self.scale, values)

    def call(self, sample, which="op", grad=False, twice=False, pair=None):
        """One sample in both libraries; results, gradients and errors must agree."""
        args, kwargs, where = (sample.input, *sample.args), sample.kwargs, describe(sample)
        their_function, our_function = pair or (getattr(self.op, which), counterpart(self.op, which))
        our_args, our_kwargs = convert(args), convert(kwargs)
        leaves = [t for t in tensors_in([args, kwargs]) if t.requires_grad]
        our_leaves = [t for t in tensors_in([our_args, our_kwargs]) if t.requires_grad]
        if which == "inplace_variant":  # leaves may not be written to, and others use the sample again
            args, our_args = (args[0].clone(), *args[1:]), (our_args[0].clone(), *our_args[1:])
        ours, our_error = attempt(pynn, our_function, our_args, our_kwargs)
        theirs, their_error = attempt(torch, their_function, args, kwargs)
        alike(our_error, their_error, where)
        if their_error is not None:
            return
        values = not open_values(self.op, sample)
        self.same(ours, theirs, where, values)
        if which == "inplace_variant":
            assert ours is our_args[0], f"{where}: gives another tensor than its first argument"
        if grad and values:
            process = sample.output_process_fn_grad
            our_process = port(process) if isinstance(process, types.FunctionType) else process
            ends = self.canonical(pynn, our_process(ours)), self.canonical(torch, process(theirs))
            self.gradients(*ends, our_leaves, leaves, twice and self.op.supports_gradgrad, where)
        same_strides(ours, theirs, where)

    def gradients(self, ours, theirs, our_leaves, leaves, twice, where):
        for a, b in zip(tensors_in(ours), tensors_in(theirs), strict=True):
            assert a.requires_grad == b.requires_grad, f"{where}: requires_grad {a.requires_grad}"
        try:
            wanted, wanted_second = derivatives(torch, theirs, leaves, twice)
        except RuntimeError:
            return  # PyTorch has no derivative here
        first, second = derivatives(pynn, ours, our_leaves, twice)
        same_gradients(first, wanted, f"{where}: gradient", 10 * self.scale)
        same_gradients(second, wanted_second, f"{where}: second gradient", 100 * self.scale)

    def out(self, sample):
        """`out=`: an empty tensor, which is resized, and one with gaps."""
        args, where = (sample.input, *sample.args), describe(sample)
        plain, error = attempt(torch, self.op.op, args, sample.kwargs)
        if error is not None or not tensors_in(plain):
            return
        several = isinstance(plain, (list, tuple))
        for make in (lambda lib, t: lib.empty(0, dtype=t.dtype), gapped):
            outs = {}
            for lib in (torch, pynn):
                results = [t if lib is torch else convert(t.detach()) for t in tensors_in(plain)]
                made = tuple(make(lib, t) for t in results)
                outs[lib] = made if several else made[0]
            theirs, their_error = attempt(torch, self.op.op, args, {**sample.kwargs, "out": outs[torch]})
            our_arguments = convert(args), {**convert(sample.kwargs), "out": outs[pynn]}
            if their_error is not None:
                continue
            ours, our_error = attempt(pynn, counterpart(self.op), *our_arguments)
            alike(our_error, None, where)
            if theirs is None:  # some of PyTorch's give nothing then
                ours, theirs = outs[pynn], outs[torch]
            given, got = tensors_in(outs[pynn]), tensors_in(ours)
            assert [id(t) for t in given] == [id(t) for t in got], f"{where}: gives another tensor than out"
            self.same(ours, theirs, where, not open_values(self.op, sample))
            same_strides(ours, theirs, where)

    def errors(self):
        """The calls that PyTorch's tests know to be errors."""
        seed()
        for item in self.op.error_inputs_func(self.op, "cpu") if self.op.error_inputs_func else ():
            sample = item.sample_input
            args = (sample.input, *sample.args)
            try:
                our_args, our_kwargs = convert(args), convert(sample.kwargs)
            except (Unavailable, RuntimeError):  # 65 dims, sparse tensors ...
                continue
            _, theirs = attempt(torch, self.op.op, args, sample.kwargs)
            _, ours = attempt(pynn, counterpart(self.op), our_args, our_kwargs)
            if theirs is not None:
                alike(ours, theirs, describe(sample))


def seed():
    """All that samples are drawn by, and the same in whatever order the tests run."""
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)


def gapped(lib, t):
    """Memory like t's, with a hole after every element of a row."""
    if t.dim() == 0:
        return lib.empty((), dtype=t.dtype)
    return lib.empty((*t.shape[:-1], t.shape[-1] * 2 + 1), dtype=t.dtype)[..., 1::2]


def without_elements(sample):
    """The sample, all tensors of as many rows as the first one cut to none; None if it has no rows."""
    if not isinstance(sample.input, torch.Tensor) or sample.input.dim() == 0 or sample.input.shape[0] == 0:
        return None
    n = sample.input.shape[0]
    return sample.transform(lambda t: t[:0].clone() if _rows(t) == n else t)


def _rows(t):
    return t.shape[0] if isinstance(t, torch.Tensor) and t.dim() else None


def check(op):
    """{kind of difference: what differs first} of one OpInfo."""
    checker, found = Checker(op, SCALES.get(op.name, 1.0)), {}

    def attempt_each(kind, run, samples=((),), **options):
        for sample in samples:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    run(*([sample] if sample != () else []), **options)
            except Unavailable:
                pass
            except OtherStrides as error:
                found.setdefault("strides", str(error))
            except AssertionError as error:
                found.setdefault(kind, " ".join(str(error).split())[:600])

    for dtype in checker.dtypes:
        attempt_each(f"values {str(dtype)[6:]}", checker.call, checker.samples(dtype, 12))
        if op.supports_autograd and dtype in (torch.float64, torch.complex128):
            samples = checker.samples(dtype, 12, True)
            attempt_each("gradient", checker.call, samples[::2], grad=True)
            attempt_each("gradient", checker.call, samples, grad=True, twice=True)
    first = checker.dtypes[0]
    few = checker.samples(first, 4)
    attempt_each("noncontiguous", checker.call, [s.noncontiguous() for s in few])
    if op.supports_out:
        attempt_each("out", checker.out, few)
    fitting = [s for s in few if not s.broadcasts_input][:2]
    if op.inplace_variant:
        attempt_each("inplace", checker.call, fitting, which="inplace_variant")
        if op.supports_inplace_autograd and first == torch.float64:
            fitting = [s for s in checker.samples(first, 2, True) if not s.broadcasts_input]
            attempt_each("inplace", checker.call, fitting, which="inplace_variant", grad=True)
    if op.method_variant:
        attempt_each("method", checker.call, few[:1], which="method_variant")
    for alias in op.aliases:
        path = f"torch.{alias.name.removeprefix('torch.')}"
        if exists(path):
            attempt_each("alias", checker.call, few[:1], pair=(find(torch, path), find(pynn, path)))
    attempt_each("errors", checker.errors)
    if op.name not in NOTHING_OPEN:
        attempt_each("zero", checker.call, [z for z in map(without_elements, few) if z is not None])
    return found


def exists(path):
    try:
        return bool(find(pynn, path))
    except Unavailable:
        return False


SCALES = {  # sums in another order, in half precision too
    "addbmm": 16,
    "fft.hfft2": 4,
    "linalg.multi_dot": 16,
    "matrix_exp": 100,
    "nn.functional.conv_transpose1d": 16,
    "nn.functional.conv_transpose2d": 16,
    "nn.functional.conv_transpose3d": 16,
}


def covered_names():
    """The names that the samples of available OpInfos call: functions, methods, in-place methods, aliases."""
    names = set()
    for op in op_db:
        try:
            counterpart(op)
        except Unavailable:
            continue
        names.add(f"torch.{op.name.removeprefix('torch.')}")
        last = op.name.split(".")[-1]
        if op.method_variant or isinstance(op.op, types.FunctionType):
            names.add(f"torch.Tensor.{last}")
        for theirs in (op.op, op.inplace_variant):
            name = getattr(theirs, "__name__", "")
            if hasattr(torch.Tensor, name):
                names.add(f"torch.Tensor.{name}")
        for alias in op.aliases:
            names |= {f"torch.{alias.name.removeprefix('torch.')}", f"torch.Tensor.{alias.name}"}
            if alias.inplace_variant:
                names.add(f"torch.Tensor.{alias.name}_")
    return names
