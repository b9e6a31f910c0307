"""A short run of the fuzzer; `python tests/fuzz/fuzz_ops.py --seconds 600 --seed N` is a long one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fuzz_ops


def test_no_call_crashes_or_hangs():
    calls, faults = fuzz_ops.fuzz(10, seed=0)
    assert not faults, "\n".join(faults)
    assert calls > 100


def test_the_fuzzer_sees_faults(tmp_path):
    """A death, a C++ library's message and a fault of the interpreter are each reported, with the call."""
    names = {
        "die": "os.abort()",
        "leak": "raise RuntimeError('vector::_M_range_check')",
        "bad": "raise SystemError('x')",
    }
    for name, body in names.items():
        script = tmp_path / f"{name}.py"
        script.write_text(
            f"import os, sys\nsys.path.insert(0, {str(Path(fuzz_ops.__file__).parent)!r})\nimport fuzz_ops\n"
            f"def broken(*a, **k): {body}\n"
            "fuzz_ops.targets = lambda: [fuzz_ops.Target('broken', broken)]\n"
            "fuzz_ops.main()\n"
        )
        _, faults = fuzz_ops.fuzz(8 if fuzz_ops.SANITIZED else 1.5, seed=0, script=str(script))
        assert faults and "broken(" in faults[0], name
