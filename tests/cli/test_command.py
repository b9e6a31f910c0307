"""The command itself: help, version, usage errors, the console script, `pynn info`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pynn
from pynn.cli import main

SCRIPT = Path(sys.executable).with_name("pynn.exe" if os.name == "nt" else "pynn")


def run(*arguments, command=(sys.executable, "-m", "pynn")):
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pynn {pynn.__version__}\n", "")


def test_help_names_the_verbs():
    done = run("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout and "info" in done.stdout


@pytest.mark.parametrize(
    "arguments, why",
    [
        ([], "required: VERB"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["demo", "--epochs", "0"], "--epochs: at least 1 required, got 0"),
        (["demo", "--epochs", "many"], "--epochs: invalid"),
        (["demo", "--batch-size", "-3"], "--batch-size: at least 1 required, got -3"),
        (["demo", "--threads", "0"], "--threads: at least 1 required, got 0"),
        (["demo", "--lr", "0"], "--lr: above 0 and at most 1000 required, got 0"),
        (["demo", "--lr", "nan"], "--lr: above 0 and at most 1000 required, got nan"),
        (["demo", "--lr", "inf"], "--lr: above 0 and at most 1000 required, got inf"),
        (["demo", "--seed", "-1"], "--seed: 0 to 2**64 - 1 required, got -1"),
        (["demo", "--data", "cats"], "--data: invalid choice: 'cats'"),
        (["info", "--more"], "unrecognized arguments: --more"),
    ],
)
def test_usage_errors(arguments, why, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert why in err and out == ""


def test_info_prints_what_a_bug_report_needs(capsys):
    assert main(["info"]) == 0
    rows = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert pynn.__version__ in rows["pynn"] and "build" in rows["pynn"]
    assert rows["installed in"].strip() == os.path.dirname(pynn.__file__)
    assert "in use; built: " in rows["instruction set"]
    assert rows["threads"].split(",")[0].strip() == str(pynn.get_num_threads())
    assert rows["Python"].strip().startswith(sys.version.split()[0])
    assert {"CUDA", "platform", "processor", "CPUs", "memory", "numpy"} <= set(rows)


def test_info_shows_the_settings_and_missing_packages(capsys, monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setenv("PYNN_NUM_THREADS", "1")
    assert main(["info"]) == 0
    rows = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["numpy"].strip() == "not installed"
    assert rows["PYNN_NUM_THREADS"].strip() == "1"


@pytest.mark.skipif(
    not SCRIPT.exists(), reason="pynn is not installed with its console script beside this Python"
)
def test_the_console_script_is_the_same():
    assert run("--version", command=(SCRIPT,)).stdout == f"pynn {pynn.__version__}\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_closed_pipe_is_no_traceback():
    shell = f'"{sys.executable}" -u -m pynn info | head -n 1'
    done = run(command=("sh", "-c", shell))
    assert done.stdout.count("\n") == 1 and done.stderr == ""
