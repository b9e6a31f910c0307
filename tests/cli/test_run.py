"""`pynn run`: a program behaves as under `python`, and its `torch` is pynn."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import pynn

PATH = os.path.dirname(pynn.__path__[0])
ENV = {**os.environ, "PYTHONPATH": PATH}


def pynn_run(*args, cwd, **options):
    return subprocess.run(
        [sys.executable, "-m", "pynn", "run", *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=ENV,
        timeout=120,
        **options,
    )


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(textwrap.dedent(text))
    return str(path)


@pytest.fixture
def same_as_python(tmp_path):
    """Runs a program under both, and compares what they print and how they end."""

    def check(*args):
        ours = pynn_run(*args, cwd=tmp_path)
        theirs = subprocess.run(
            [sys.executable, *args], capture_output=True, text=True, cwd=tmp_path, env=ENV, timeout=120
        )
        assert (ours.stdout, ours.stderr, ours.returncode) == (
            theirs.stdout,
            theirs.stderr,
            theirs.returncode,
        )
        return ours

    return check


def test_a_training_script(tmp_path):
    write(
        tmp_path,
        "train.py",
        """
        import argparse
        import torch
        import torch.nn as nn
        from torch.utils.data import DataLoader, TensorDataset

        def main():
            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float)
            args = parser.parse_args()
            torch.manual_seed(0)
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            x = torch.randn(64, 2)
            loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16, shuffle=True)
            model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1)).to(device)
            optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
            for _ in range(30):
                for a, b in loader:
                    optimizer.zero_grad()
                    loss = nn.functional.mse_loss(model(a.to(device)), b.to(device))
                    loss.backward()
                    optimizer.step()
            print(type(model).__module__, loss.item() < 0.1)

        if __name__ == "__main__":
            main()
        """,
    )
    done = pynn_run("train.py", "--lr", "0.01", cwd=tmp_path)
    assert done.stdout.split() == ["pynn.nn.modules.container", "True"], done.stderr


def test_argv_path_and_main(tmp_path, same_as_python):
    write(
        tmp_path,
        "app/script.py",
        """
        import sys, __main__
        import helper
        print(sys.argv, sys.path, __name__, __file__, __package__, __main__.__dict__ is globals(), helper.x)
        """,
    )
    write(tmp_path, "app/helper.py", "x = 3")
    write(tmp_path, "app/__init__.py", "")
    write(
        tmp_path, "app/sub.py", "import sys; print(sys.argv, sys.path, __name__, __package__, __spec__.name)"
    )
    assert "helper" not in same_as_python("app/script.py", "-m", "--flag", "x y", "").stderr
    same_as_python("-m", "app.sub", "-x", "--help")


@pytest.mark.parametrize(
    "body",
    [
        "raise SystemExit(3)",
        "raise SystemExit('text')",
        "def f():\n    return 1 / 0\nf()",
        "import os; print('x', flush=True); os._exit(7)",
        "import sys; sys.exit()",
        "syntax error",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import warnings; warnings.warn('w')",
    ],
)
def test_how_it_ends(tmp_path, same_as_python, body):
    write(tmp_path, "script.py", body)
    same_as_python("script.py")


def test_missing_program(same_as_python):
    assert same_as_python("nowhere.py").returncode == 2
    assert same_as_python("-m", "nowhere_at_all").returncode == 1


def test_usage(tmp_path):
    done = pynn_run(cwd=tmp_path)
    assert done.returncode == 2 and "a script, or -m and a module, is required" in done.stderr


def test_standard_input_and_ctrl_c(tmp_path):
    write(tmp_path, "script.py", "print(input()[::-1])")
    assert pynn_run("script.py", cwd=tmp_path, input="abc\n").stdout == "cba\n"
    write(tmp_path, "wait.py", "import time; print('ready', flush=True); time.sleep(60)")
    child = subprocess.Popen(
        [sys.executable, "-m", "pynn", "run", "wait.py"],
        cwd=tmp_path,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell may ignore it
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert err.rstrip().endswith("KeyboardInterrupt") and child.returncode == -signal.SIGINT


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_children_have_the_alias(tmp_path, method):
    write(
        tmp_path,
        "script.py",
        f"""
        import torch, torch.multiprocessing as mp
        class Net(torch.nn.Linear): pass
        def work(net, queue):
            import torch.nn as nn
            queue.put((nn.__name__, net(torch.ones(1, 2)).detach()))
        if __name__ == "__main__":
            context = mp.get_context({method!r})
            queue = context.Queue()
            child = context.Process(target=work, args=(Net(2, 2), queue))
            child.start()
            print(queue.get())
            child.join()
        """,
    )
    done = pynn_run("script.py", cwd=tmp_path)
    assert done.stdout.startswith("('pynn.nn', tensor("), done.stderr


def test_subprocesses_and_the_users_own_sitecustomize(tmp_path):
    write(tmp_path, "site/sitecustomize.py", "import builtins; builtins.mine = 1")
    write(
        tmp_path,
        "script.py",
        "import subprocess, sys; print(mine); "
        "subprocess.run([sys.executable, '-c', 'import torch; print(torch.nn.__name__)'])",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pynn", "run", "script.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**ENV, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), PATH]), "PYTHONUNBUFFERED": "1"},
        timeout=120,
    )
    assert done.stdout.split() == ["1", "pynn.nn"], done.stderr


def test_spawn_raises_what_a_process_raised(tmp_path):
    write(
        tmp_path,
        "script.py",
        """
        import torch.multiprocessing as mp
        def work(i, x):
            if i == 1: raise ValueError(f"bad {x}")
        def end(i):
            import os; os._exit(4)
        if __name__ == "__main__":
            mp.spawn(work, args=(5,), nprocs=1)
            for f, args in ((work, (5,)), (end, ())):
                try: mp.spawn(f, args=args, nprocs=2)
                except Exception as e: print(type(e).__name__, e.error_index in (0, 1), "bad 5" in str(e), str(e).strip()[-1:])
        """,
    )
    done = pynn_run("script.py", cwd=tmp_path)
    assert done.stdout.splitlines()[0].startswith("ProcessRaisedException True True"), done.stderr
    assert done.stdout.splitlines()[1] == "ProcessExitedException True False 4"
