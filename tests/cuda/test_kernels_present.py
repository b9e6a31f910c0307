"""Every kernel of the CPU has one for CUDA, but for those that missing_kernels.txt names: a list that only shrinks."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"


@pytest.mark.no_device
def test_missing_kernels():
    if not CSRC.is_dir():
        pytest.skip("the sources are not here")
    declared, defined = set(), set()
    for file in (CSRC / "kernels").glob("*.h"):
        declared.update(re.findall(r"^PYNN_KERNEL\([^,]+,\s*(\w+)", file.read_text(), re.M))
    for file in (CSRC / "kernels" / "cuda").glob("*.cu"):
        defined.update(re.findall(r"^PYNN_CUDA_KERNEL\((\w+)\)", file.read_text(), re.M))
    known = set((HERE / "missing_kernels.txt").read_text().split())
    missing = declared - defined
    assert len(declared) > 40
    assert not missing - known, f"without a CUDA kernel: {sorted(missing - known)}"
    assert not known - missing, f"there by now, to be struck from the list: {sorted(known - missing)}"
