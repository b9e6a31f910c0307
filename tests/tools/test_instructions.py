"""bench/instructions.py: what it adds up of callgrind's output."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

SAMPLE = """\
desc: Trigger: Client Request: overhead/op/add
ob=(1) /usr/bin/python3
fn=(1) eval
12 100
cob=(2) /somewhere/pynn/_C.cpython-311-x86_64-linux-gnu.so
cfn=(2)
calls=50 0
13 9999

ob=(2)
fn=(2) add
+1 30
-2 4
* 6
cob=(3) /lib/libc.so.6
cfn=(3) memcpy
calls=50 0
* 777

ob=(3)
fn=(3)
20 5
"""


def test_only_the_core_counts_and_calls_do_not(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import instructions

    assert list(instructions._own_costs(SAMPLE)) == [30, 4, 6]
