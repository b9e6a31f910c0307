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

import helpers  # noqa: E402

import pynn  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "cuda: needs a build with CUDA and a GPU")
    config.addinivalue_line("markers", "no_device: in tests/cuda, but runs anywhere")
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


def _uses_check_op(function, module):
    """Whether the test calls check_op, itself or through functions of its module."""
    seen, todo = set(), [getattr(function, "__code__", None)]
    while todo:
        code = todo.pop()
        if code is None or code in seen:
            continue
        seen.add(code)
        for name in code.co_names:
            if name == "check_op":
                return True
            todo.append(getattr(vars(module).get(name), "__code__", None))
    return False


def pytest_generate_tests(metafunc):
    """Tests of ops run once more on a CUDA device."""
    if _uses_check_op(metafunc.function, metafunc.module):
        devices = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
        metafunc.parametrize("op_device", devices, indirect=True)


def pytest_runtest_setup(item):
    if item.get_closest_marker("cuda") and not pynn.cuda.is_available():
        pytest.skip(f"CUDA: {pynn.cuda.why_unavailable()}")


@pytest.fixture(autouse=True)
def op_device(request):
    """Where check_op runs."""
    helpers.device = getattr(request, "param", "cpu")
    yield helpers.device
    helpers.device = "cpu"
    if request.node.get_closest_marker("cuda"):
        pynn.cuda.synchronize()  # what is found late belongs to this test


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
