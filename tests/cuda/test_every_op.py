"""A short run of compare_devices.py: the fuzzer's calls on both devices."""

import sys
import warnings
from pathlib import Path

import pytest

import pynn

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.mark.parametrize("seed", range(4))
def test_ops_agree(seed):
    import compare_devices
    import fuzz_ops

    targets = compare_devices.chosen()
    assert len(targets) > 500
    # A call asks for too much on both devices, or on none.
    pynn.cuda.set_per_process_memory_fraction(
        min(1.0, 4 * compare_devices.MEMORY / pynn.cuda.mem_get_info()[1])
    )
    before = pynn.set_memory_limit(compare_devices.MEMORY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number in range(1000):
                call = fuzz_ops.make_call(targets, seed, number)
                text = str(call)
                why = compare_devices.compare(call)
                assert not why, f"seed {seed}, call {number}: {text}\n    {why}"
    finally:
        pynn.set_memory_limit(before)
        pynn.cuda.set_per_process_memory_fraction(1.0)
