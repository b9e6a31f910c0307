"""pynn.compat beside a real PyTorch in the same process."""

import builtins
import importlib
import sys

import pytest

import pynn
import pynn.compat

torch = pytest.importorskip("torch")


@pytest.fixture
def alias():
    before = builtins.__import__, importlib.import_module, list(sys.meta_path), sys.modules["torch"]
    pynn.compat.install()
    yield
    pynn.compat.uninstall()
    assert before == (builtins.__import__, importlib.import_module, list(sys.meta_path), sys.modules["torch"])


def test_imports_give_pynn_and_the_real_one_goes_on(alias):
    import torch as ours
    import torch.nn as nn
    from torch.utils.data import DataLoader

    assert nn is pynn.nn and DataLoader is pynn.utils.data.DataLoader
    assert ours is not torch and ours.tensor is pynn.tensor
    assert importlib.import_module("torch.optim") is pynn.optim

    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5)  # imports much of torch late, from Python and from C++
    weight.sum().backward()
    optimizer.step()
    assert weight.tolist() == [0.5, 0.5]
    assert torch.fft.fft(torch.ones(3))[0].item() == 3
    assert isinstance(torch.nn.Linear(2, 2)(torch.ones(1, 2)), torch.Tensor)


def test_missing_modules_do_not_come_from_the_real_one(alias):
    with pytest.raises(ModuleNotFoundError, match="pynn has no"):
        import torch._inductor
    with pytest.raises(ImportError):
        from torch import ScriptObject  # noqa: F401
    with pytest.raises(AttributeError, match="pynn"):
        import torch as ours

        ours.ScriptObject


def test_uninstall_gives_the_real_one_back():
    pynn.compat.install()
    pynn.compat.uninstall()
    import torch as again
    import torch.nn as nn

    assert again is torch and nn is torch.nn


def test_version_is_of_the_same_api():
    from packaging.version import Version

    assert Version(pynn.version.__version__).release == Version(torch.__version__).release
