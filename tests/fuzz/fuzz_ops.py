"""Call everything with arguments nobody would write, in child processes, and report what no input may cause.

    python tests/fuzz/fuzz_ops.py --seconds 60 --seed 0
    python tests/fuzz/fuzz_ops.py --seed 0 --only 1234        # one call again, in this process
    python tests/fuzz/fuzz_ops.py --seconds 60 --match '\\.sort|topk'

Targets are the ops of the registry in all their forms (function, method, in place, out=), and every public name of the
module and of Tensor that the registry does not know. A call depends on the seed and its number alone. Reported are:
death by a signal, a hang, an exception that tells of a fault of ours (SystemError, a C++ library's own message), and
a tensor that reaches beyond its memory. What succeeds is differentiated.
"""

import argparse
import contextlib
import inspect
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")
HANG = 60.0 if SANITIZED else 20.0  # seconds for one call
MEMORY = 256 << 20  # for tensors
EXPECTED = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    BufferError,
    AttributeError,
    AssertionError,
    KeyError,
    ImportError,
    ZeroDivisionError,
)
# Messages of C++'s own exceptions: something was not checked.
FAULT = re.compile(
    r"std::|vector::|basic_string|bad_(alloc|cast|function|optional|variant)|max_size|pybind11::"
)
SKIPPED = {  # settings of the process, files, and what waits for something
    *"set_num_threads set_memory_limit set_default_dtype set_printoptions load save manual_seed seed".split(),
    *"set_rng_state share_memory_ set_grad_enabled printoptions".split(),
    *"__class__ __init_subclass__ __subclasshook__ __getattribute__ __setattr__ __delattr__ __dir__ __sizeof__".split(),
}


@dataclass
class Target:
    name: str
    call: Callable[..., Any]
    params: list | None = None  # of the schema; None: unknown
    out: bool = False
    tensor_first: bool = False  # a method


def targets() -> list[Target]:
    import pynn
    from pynn import _C

    sys.path.insert(0, str(ROOT / "tools"))
    from gen_stubs import parse

    found: list[Target] = []
    for op in _C._op_schemas():
        name, params = op["name"], parse(op["schema"]).params
        owner = getattr(_C, op["namespace"]) if op["namespace"] else _C
        prefix = f"{op['namespace']}." if op["namespace"] else ""
        if op["function"]:
            found.append(Target(prefix + name, getattr(owner, name), params, op["out"]))
        if op["method"]:
            found.append(Target(f"Tensor.{name}", getattr(pynn.Tensor, name), params, op["out"]))
        if op["inplace"] and hasattr(pynn.Tensor, name + "_"):
            found.append(Target(f"Tensor.{name}_", getattr(pynn.Tensor, name + "_"), params))
            if hasattr(owner, name + "_"):
                found.append(Target(f"{prefix}{name}_", getattr(owner, name + "_"), params))
    known = {t.name for t in found}
    for name in dir(pynn.Tensor):
        value = getattr(pynn.Tensor, name)
        dunder = name.startswith("__") and name.endswith("__")
        if name in SKIPPED or f"Tensor.{name}" in known or (name[0] == "_" and not dunder):
            continue
        if callable(value):
            found.append(Target(f"Tensor.{name}", value, tensor_first=True))
        elif hasattr(value, "__get__"):
            get, put = value.__get__, getattr(value, "__set__", None)
            found.append(Target(f"Tensor.{name} (get)", lambda t, *a, get=get: get(t), tensor_first=True))
            if put:
                found.append(
                    Target(f"Tensor.{name} (set)", lambda t, v, *a, put=put: put(t, v), tensor_first=True)
                )
    for owner in (pynn, pynn.nn.functional):
        for name, value in sorted(vars(owner).items()):
            fits = callable(value) and not isinstance(value, type) and name[0] != "_" and name not in SKIPPED
            if fits and f"{name}" not in known and f"_nn.{name}" not in known:
                known.add(name)
                found.append(Target(f"{owner.__name__}.{name}", value))
    return found


@dataclass
class Call:
    target: Target
    args: list = field(default_factory=list)
    kwargs: dict = field(default_factory=dict)

    def run(self) -> Any:
        return self.target.call(*self.args, **self.kwargs)

    def __str__(self) -> str:
        parts = [show(a) for a in self.args] + [f"{k}={show(v)}" for k, v in self.kwargs.items()]
        return f"{self.target.name}({', '.join(parts)})"


def show(x: Any) -> str:
    import pynn

    if isinstance(x, pynn.Tensor):
        extra = " grad" if x.requires_grad else ""
        extra += " meta" if x.is_meta else ""
        extra += f" {type(x).__name__}" if type(x) is not pynn.Tensor else ""
        return f"<{str(x.dtype)[6:]} {tuple(x.shape)} by {x.stride()} at {x.storage_offset()}{extra}>"
    if isinstance(x, (list, tuple)) and len(x) < 20:
        return f"{type(x).__name__}({', '.join(map(show, x))})"
    try:
        return repr(x)[:200]
    except Exception:
        return f"<{type(x).__name__}>"


def required(function: Callable[..., Any]) -> list[str]:
    """The names of a Python function's parameters that must be given."""
    try:
        params = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        p.name
        for p in params
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def make_call(all_targets: list[Target], seed: int, number: int) -> Call:
    from values import Maker

    import pynn

    rng = random.Random(f"{seed}/{number}")
    target = rng.choice(all_targets)
    make = Maker(rng)
    call = Call(target)
    if target.params is None:
        if target.tensor_first and not make.odd(0.05):
            call.args.append(make.tensor())
        fitting = [] if make.odd(0.3) else required(target.call)[len(call.args) :]
        call.args += [make.named(name) for name in fitting]
        for _ in range(rng.choice([0, 0, 1] if fitting else [0, 0, 1, 1, 1, 2, 2, 3])):
            call.args.append(make.indexing() if "item__" in target.name else make.anything())
        return call
    keywords = False
    for p in target.params:
        if (p.default is not None and rng.random() < 0.5) or make.odd(0.02):
            keywords = True
            continue
        value = make.of(p.type, p.name)
        keywords |= p.keyword_only
        if keywords:
            call.kwargs[p.name] = value
        elif p.type == "int..." and rng.random() < 0.5 and isinstance(value, (list, tuple)):
            call.args += value
        else:
            call.args.append(value)
        keywords |= rng.random() < 0.05
    if target.out and rng.random() < 0.3:
        out = make.tensor()
        call.kwargs["out"] = rng.choice([out, out, (out, make.tensor()), pynn.empty(0)])
    if make.odd(0.02):
        call.kwargs[rng.choice(["axis", "nonsense", "self", "dtype", "memory_format", "input"])] = (
            make.anything()
        )
    return call


def tensors_in(x: Any) -> list:
    import pynn

    if isinstance(x, pynn.Tensor):
        return [x]
    return [t for item in x for t in tensors_in(item)] if isinstance(x, (list, tuple)) else []


def check_bounds(t: Any) -> None:
    if t.is_meta or not t.numel():
        return
    last = t.storage_offset() + sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
    if t.storage_offset() < 0 or (last + 1) * t.element_size() > t.untyped_storage().nbytes():
        raise SystemError(f"the tensor reaches beyond its memory: {show(t)}")


def execute(call: Call, rng: random.Random) -> str | None:
    """Runs a call and its derivative; returns the fault, if there is one."""
    import pynn

    try:
        result = call.run()
        results = tensors_in(result)
        for t in results + tensors_in(call.args):
            check_bounds(t)
        repr(result)
        for t in results:
            if t.dtype.is_floating_point and not t.is_meta:
                float(t.detach().sum())
        roots = [t for t in results if t.requires_grad]
        if roots:
            create = rng.random() < 0.3
            grads = [pynn.ones(()).to(t.dtype).expand(t.shape) if not t.is_meta else None for t in roots]
            pynn.autograd.backward(roots, grads, create_graph=create)
            for t in tensors_in(call.args) + tensors_in(list(call.kwargs.values())):
                if t.is_leaf and t.grad is not None:
                    check_bounds(t.grad)
                    if t.grad.shape != t.shape and call.target.name != "Tensor.grad (set)":
                        return f"gradient of shape {tuple(t.grad.shape)} for {show(t)}"
                    t.grad = None
    except EXPECTED as e:
        if FAULT.search(str(e)):
            return f"{type(e).__name__}: {e}"
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    return None


def prepare() -> list[Target]:
    import pynn

    warnings.simplefilter("ignore")
    sys.setrecursionlimit(400)
    pynn.set_memory_limit(MEMORY)
    pynn.set_num_threads(2)
    return targets()


def child(seed: int, start: int, match: str, log: str) -> None:
    """Runs calls until it is killed; `log` holds the current one, faults go to stdout."""
    import resource

    everything = prepare()
    chosen = [t for t in everything if re.search(match, t.name)]
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    state = os.open(log, os.O_WRONLY)
    number = start
    while True:
        os.pwrite(state, f"{number}\nmaking it\n".ljust(64).encode(), 0)
        call = make_call(chosen, seed, number)
        text = f"{number}\n{call}\n".encode("utf-8", "replace")[:8000]
        os.pwrite(state, text.ljust(8192), 0)
        if fault := execute(call, random.Random(number)):
            print(
                f"seed {seed}, call {number}: {call}\n    {fault}".encode("ascii", "replace").decode(),
                flush=True,
            )
        number += 1


def current(log: str) -> tuple[int, str]:
    number, _, text = Path(log).read_text("utf-8", "replace").partition("\n")
    return int(number or -1), text.partition("\n")[0].strip("\0 ")


def fuzz(seconds: float, seed: int, match: str = "", script: str = __file__) -> tuple[int, list[str]]:
    """The number of calls made, and the faults found."""
    faults: list[str] = []
    end, start = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as folder:
        log, output, errors = (os.path.join(folder, n) for n in ("call", "out", "err"))
        while time.monotonic() < end:
            Path(log).write_text(f"{start}\n".ljust(8192))
            command = [
                sys.executable,
                script,
                "--seed",
                str(seed),
                "--match",
                match,
                "--child",
                str(start),
                log,
            ]
            with open(output, "w") as out, open(errors, "w") as err:
                process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err)
            last, since, hung = -1, time.monotonic(), False
            while process.poll() is None and time.monotonic() < end and not hung:
                time.sleep(0.1)
                now = current(log)[0]
                if now != last:
                    last, since = now, time.monotonic()
                hung = time.monotonic() - since > HANG
            running = process.poll() is None
            if running:
                process.kill()
            status = process.wait()
            number, text = current(log)
            faults += re.findall(r"^seed .*\n    .*", Path(output).read_text(), re.M)
            if hung or not running:
                what = f"no answer in {HANG:.0f} s" if hung else f"died of {name_of(status)}"
                tail = Path(errors).read_text("utf-8", "replace").strip()[-3000:]
                faults.append(f"seed {seed}, call {number}: {text}\n    {what}\n{tail}")
            start = number + 1
    return start, faults


def name_of(status: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"exit status {status}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--match", default="", help="a regular expression on the names to call")
    parser.add_argument("--only", type=int, help="run this call alone, here")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.seed, int(args.child[0]), args.match, args.child[1])
    elif args.only is not None:
        chosen = [t for t in prepare() if re.search(args.match, t.name)]
        call = make_call(chosen, args.seed, args.only)
        print(call, flush=True)
        print(execute(call, random.Random(args.only)) or "no fault")
    else:
        calls, faults = fuzz(args.seconds, args.seed, args.match)
        print("\n".join(faults))
        print(f"{calls} calls, {len(faults)} faults")
        sys.exit(bool(faults))


if __name__ == "__main__":
    main()
