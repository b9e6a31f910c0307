"""Shared set-up: the installed pynn is tested, from fixed random numbers and default settings."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for `import helpers`

# `python -m pytest` puts the checkout first on the path; without a compiled core in it, test the installed package.
ROOT = HERE.parent
if not list((ROOT / "pynn").glob("_C*.so")) and not list((ROOT / "pynn").glob("_C*.pyd")):
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != ROOT]

import pynn  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "cuda: needs a build with CUDA and a GPU")
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


@pytest.fixture(autouse=True)
def _fresh_state():
    """Each test starts from the same seed and settings, and may change them."""
    pynn.manual_seed(0)
    threads, dtype = pynn.get_num_threads(), pynn.get_default_dtype()
    yield
    if pynn.get_num_threads() != threads:
        pynn.set_num_threads(threads)
    if pynn.get_default_dtype() != dtype:
        pynn.set_default_dtype(dtype)
    pynn.set_grad_enabled(True)


@pytest.fixture
def threads():
    """`threads(n)` sets the number of threads for the rest of the test."""
    return pynn.set_num_threads
