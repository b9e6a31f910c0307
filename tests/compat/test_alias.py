"""pynn.compat: `import torch` gives pynn. Each test runs its program in a process of its own."""

import os
import subprocess
import sys
import textwrap

import pytest

import pynn


def run(program, *args, expect=0, cwd=None, env=None):
    """The output of a program whose imports find the pynn under test."""
    path = os.path.dirname(pynn.__path__[0])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        timeout=120,
    )
    assert done.returncode == expect, done.stderr
    return done.stdout if expect == 0 else done.stderr


def test_modules_are_the_same_objects():
    run(
        """
        import pynn, pynn.compat
        pynn.compat.install()
        pynn.compat.install()
        import torch, sys
        import torch.nn as nn, torch.nn.functional as F, torch.optim as optim
        import torch.backends.cudnn as cudnn
        import torch.utils.data
        import torch.optim.lr_scheduler as lr_scheduler
        import torch.multiprocessing as mp, torch.distributed as dist
        from torch.autograd import Variable, Function
        from torch import Tensor, nn as nn2
        from torch.nn import Linear
        from torch.utils.data import DataLoader, Dataset
        import torchvision
        from torchvision import datasets
        assert nn is nn2 is pynn.nn and F is pynn.nn.functional and optim is pynn.optim
        assert Linear is pynn.nn.Linear and DataLoader is pynn.utils.data.DataLoader
        assert torch.tensor is pynn.tensor and torch.nn.functional is F and Tensor is pynn.Tensor
        assert sys.modules["torch.nn"] is pynn.nn and pynn.nn.__spec__.name == "pynn.nn"
        assert torchvision is pynn.vision and datasets is pynn.vision.datasets
        assert cudnn is pynn.backends.cudnn and lr_scheduler is pynn.optim.lr_scheduler
        assert dist.is_available() is False and not dist.is_initialized()
        cudnn.benchmark = True
        assert torch.backends.cudnn.benchmark
        with torch.no_grad():
            assert (torch.ones(2) + 1).tolist() == [2, 2]
        """
    )


def test_version_names_the_api():
    out = run(
        """
        import pynn, pynn.compat, importlib.metadata
        pynn.compat.install()
        import torch
        print(torch.__version__, torch.version.__version__, importlib.metadata.version("torch"))
        print(tuple(map(int, torch.__version__.split("+")[0].split("."))) >= (2, 0), pynn.__version__)
        """
    )
    api = pynn.version.__version__
    assert out.split() == [api, api, api, "True", pynn.__version__]


def test_what_is_set_on_torch_is_set_on_pynn():
    run(
        """
        import pynn, pynn.compat
        pynn.compat.install()
        import torch
        torch.my_name = 3
        assert pynn.my_name == 3 and "my_name" in dir(torch)
        del torch.my_name
        assert not hasattr(pynn, "my_name")
        """
    )


@pytest.mark.parametrize(
    "statement, error, words",
    [
        ("import torch.nope", "ModuleNotFoundError", "torch.nope"),
        ("import torch.nn.nope.deeper", "ModuleNotFoundError", "torch.nn.nope"),
        ("from torch import nope", "ImportError", "nope"),
        ("from torch.nn import Nope", "ImportError", "'Nope' from 'pynn.nn'"),
        ("import torch; torch.nope", "AttributeError", "module 'pynn' has no attribute 'nope'"),
        ("import torch.nn as nn; nn.Nope", "AttributeError", "module 'pynn.nn' has no attribute 'Nope'"),
        ("import importlib; importlib.import_module('torch.nope')", "ModuleNotFoundError", "pynn.nope"),
    ],
)
def test_missing_names_say_what_is_missing(statement, error, words):
    last = run(f"import pynn.compat; pynn.compat.install(); {statement}", expect=1).strip().splitlines()[-1]
    assert last.startswith(error) and words in last and "pynn" in last


def test_uninstall_leaves_nothing():
    run(
        """
        import sys, builtins, importlib, pynn.compat
        before = builtins.__import__, importlib.import_module, list(sys.meta_path)
        pynn.compat.install()
        import torch, torch.nn
        assert pynn.compat.installed()
        pynn.compat.uninstall()
        pynn.compat.uninstall()
        assert not pynn.compat.installed()
        assert (builtins.__import__, importlib.import_module, list(sys.meta_path)) == before
        assert not [name for name in sys.modules if name.startswith("torch")]
        pynn.compat.install()
        import torch as again
        assert again.ones(1).item() == 1
        """
    )


def test_a_failing_import_inside_pynn_keeps_its_error(tmp_path):
    (tmp_path / "broken_dependency.py").write_text("import does_not_exist_anywhere\n")
    err = run(
        "import pynn.compat; pynn.compat.install(); import torch; import broken_dependency",
        expect=1,
        cwd=tmp_path,
    )
    assert "No module named 'does_not_exist_anywhere'" in err
