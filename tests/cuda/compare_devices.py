"""The fuzzer's calls of the registry's ops, on the CPU and on a CUDA device: what works on one works on the other.

python tests/cuda/compare_devices.py --seconds 60 --seed 0
python tests/cuda/compare_devices.py --seed 0 --only 1234
"""

import argparse
import contextlib
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))

import fuzz_ops
import numpy as np

import pynn

# Random numbers differ; empty memory is anything; these tell of the memory itself, or what they do is settings'.
SKIPPED = re.compile(
    r"rand|normal|dropout|bernoulli|multinomial|exponential|uniform|geometric|cauchy|poisson|binomial|empty|"
    r"data_ptr|numpy|resize|from_buffer|new_|set_|share|pin|storage|_out|random|is_cuda|device|rrelu|fractional|_standard_gamma|"
    r"_sample_|_linalg\.real_|_linalg\.pivot_order"  # the last: kernels of the CPU, whose callers move matrices there
)
EXPECTED = fuzz_ops.EXPECTED
MEMORY = 64 << 20
# What the CPU refuses and a device does not, as its values would have to be waited for, or as it can do more.
CPU_ONLY = re.compile(r"ZeroDivisionError|not implemented for|in the range|between 0 and 1|fit into memory")
# What a device refuses rightly.
CUDA_ONLY = re.compile(r"same device, got .*meta|must be on the CPU|out of memory|fit into memory")


def placed(x: Any, device: str, made: dict[int, pynn.Tensor]) -> Any:
    """Fresh leaves with the tensors' values and strides, one for each."""
    if isinstance(x, pynn.Tensor):
        if x.is_meta:
            return x
        if id(x) not in made:
            y = x.detach()
            if y.numel() and not y.is_contiguous():  # transposed, overlapping or with gaps
                size = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
                flat = y.as_strided((size,), (1,), y.storage_offset()).clone().to(device)
                y = flat.as_strided(x.shape, x.stride())
            else:
                y = y.clone().to(device)
            made[id(x)] = y.requires_grad_(x.requires_grad)
        return made[id(x)]
    if type(x) in (list, tuple):
        return type(x)(placed(i, device, made) for i in x)
    if isinstance(x, pynn.device) and x.type == "cpu":
        return pynn.device(device)
    return x


def twin(call: fuzz_ops.Call, device: str) -> fuzz_ops.Call:
    made: dict[int, pynn.Tensor] = {}
    args = [placed(a, device, made) for a in call.args]
    return fuzz_ops.Call(call.target, args, {k: placed(v, device, made) for k, v in call.kwargs.items()})


def outcome(call: fuzz_ops.Call) -> Any:
    """The results and gradients, or the exception."""
    try:
        pynn.manual_seed(0)
        results = fuzz_ops.tensors_in(call.run())
        grads = []
        leaves = [t for t in fuzz_ops.tensors_in(call.args) if t.requires_grad]
        roots = [t for t in results if t.requires_grad and not t.is_meta]
        if roots:
            ones = [pynn.ones(()).to(t.device, t.dtype).expand(t.shape) for t in roots]
            pynn.autograd.backward(roots, ones)
            grads = [t.grad for t in leaves]
        return [t if t is None or t.is_meta else t.detach().cpu() for t in results + grads]
    except EXPECTED as e:
        return e


def big(a: pynn.Tensor) -> bool:
    """Whether a half type's sums stop growing, as they may on one device alone."""
    return bool((a.double().abs() > 200).any())


def differ(a: pynn.Tensor, b: pynn.Tensor) -> str | None:
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype} {tuple(a.shape)} / {b.dtype} {tuple(b.shape)}"
    if (
        a.is_meta
        or b.is_meta
        or a.is_complex()
        or (a.element_size() == 2 and a.is_floating_point() and big(a))
    ):
        return None
    wide = [t.double().numpy() if t.is_floating_point() else t.numpy() for t in (a, b)]
    rtol = {pynn.float64: 1e-7, pynn.float32: 1e-3}.get(a.dtype, 4e-2)
    with np.errstate(all="ignore"):
        scale = np.abs(wide[0][np.isfinite(wide[0])]).max(initial=0.0) if a.is_floating_point() else 0.0
        equal = np.isclose(wide[0], wide[1], rtol=rtol, atol=rtol * max(float(scale), 1e-2), equal_nan=True)
        equal |= (np.abs(wide[0]) > 1e30) & ~np.isfinite(wide[1])  # sums of such overflow in one order only
    if equal.all():
        return None
    k = np.unravel_index(np.argmin(equal), equal.shape)
    return f"{(~equal).sum()} of {equal.size}, at {tuple(map(int, k))}: {wide[0][k]} / {wide[1][k]}"


def compare(call: fuzz_ops.Call) -> str | None:
    with contextlib.suppress(*EXPECTED):  # of tensors that cannot be copied
        pair = twin(call, "cpu"), twin(call, "cuda")
        if not [t for t in fuzz_ops.tensors_in(pair[1].args) if t.is_cuda]:
            return None
        return compare_outcomes(*map(outcome, pair))
    return None


def compare_outcomes(cpu: Any, cuda: Any) -> str | None:
    try:
        pynn.cuda.synchronize()
    except (RuntimeError, IndexError) as e:
        cuda = cuda if isinstance(cuda, Exception) else e
    if isinstance(cuda, Exception) and re.search("illegal|emulator", str(cuda)):
        return f"{cuda}"
    if isinstance(cpu, Exception) and CPU_ONLY.search(str(cpu)):
        return None
    if isinstance(cuda, Exception) and CUDA_ONLY.search(str(cuda)):
        return None
    if isinstance(cpu, Exception) != isinstance(cuda, Exception):
        show = [f"{type(x).__name__}: {x}" if isinstance(x, Exception) else "works" for x in (cpu, cuda)]
        return f"CPU: {show[0]}\n    CUDA: {show[1]}"
    if isinstance(cpu, Exception):
        return None
    if len(cpu) != len(cuda):
        return f"{len(cpu)} / {len(cuda)} results and gradients"
    for k, (a, b) in enumerate(zip(cpu, cuda, strict=True)):
        if (a is None) != (b is None):
            return f"result or gradient {k} is missing"
        if a is not None and (why := differ(a, b)):
            return f"result or gradient {k}: {why}"
    return None


def chosen(match: str = "") -> list[fuzz_ops.Target]:
    targets = [t for t in fuzz_ops.targets() if t.params is not None and not SKIPPED.search(t.name)]
    return [t for t in targets if re.search(match, t.name)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--match", default="")
    parser.add_argument("--only", type=int)
    parser.add_argument("--verbose", action="store_true", help="tell of every call before it is made")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    pynn.set_memory_limit(MEMORY)
    targets = chosen(args.match)
    end, number, faults = time.monotonic() + args.seconds, args.only or 0, 0
    while time.monotonic() < end:
        call = fuzz_ops.make_call(targets, args.seed, number)
        text = str(call)
        if args.only is not None or args.verbose:
            print(f"{number}: {text}", flush=True)
        if why := compare(call):
            faults += 1
            print(f"seed {args.seed}, call {number}: {text}\n    {why}", flush=True)
        if args.only is not None:
            break
        number += 1
    print(f"{number} calls of {len(targets)} targets, {faults} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
