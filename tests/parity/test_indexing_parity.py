"""Indexing and assignment by index beside torch: values, aliasing, strides of views and errors."""

import pytest
from side_by_side import compare, run, torch

INPUTS = ("x", "p", "s", "b")
INDICES = """
0
-1
2
-3
1, 2
1, 2, 3
0, 0, 0, 0
:
1:
:-1
::2
1:0
-5:5
0:2:3
::-1
None
..., 0
0, ...
..., None
None, 0, None
..., None, 0
0, :, 1
:, 1:, ::3
:, None, 0
True
False
None, True
[0, 1]
[1, 0, 1, -1]
[[0, 1], [1, 0]]
[2]
[]
[True, False]
[0], [1], [2]
[0, 1], [0, 2]
[0, 1], [[0], [2]]
[0, 1], [0, 1, 2]
:, [0, 2]
:, [0, 2], :2
[0, 1], :, [0, 3]
[0, 1], 1, [0, 3]
0, :, [0, 3]
:, 0, [0, 3]
None, [0, 1], None, [0, 2]
..., [0, 2]
[0, 1], ...
[0, 1], ..., [2, 3]
t.tensor(1)
t.tensor([0, 1])
t.tensor([[0, 1], [1, 1]])
t.tensor([], dtype=t.int64)
t.tensor([0, 1], dtype=t.int32)
t.tensor([True, False])
t.tensor([0.5])
:, j
:, j, 0
:, j, j
:, :, j
1, j
j[:2], j
k
k, 0
k, [0, 1, 2, 3]
k, 1:3
:, k
k[0]
:, k[0]
k[0], k[0]
:, k[0], [1]
x > 5
x > 99
(x > 5)[0]
x > 5, None
t.tensor(True)
t.tensor(False)
t.tensor(True), 0
np.array([0, 1])
np.array([True, False])
np.int64(1)
slice(None, t.tensor(1))
(0, 1)
[0, slice(None)]
1.0
1:2.5
range(2)
""".strip().splitlines()

ASSIGNED = [
    "-1",
    "2.5",
    "True",
    "t.tensor(-1)",
    "t.tensor(-1.5, dtype=t.float64)",
    "[-1.0]",
    "t.full((2, 1, 1), -3.0)",
    "t.arange(4.0)",
    "t.zeros(5)",
    "t.zeros(1, 1, 1, 1)",
    "t.arange(24.).reshape(2, 3, 4) * -1",
    "'a'",
    "None",
]

# pynn converts one value to the tensor's dtype under every index, torch only under those that are not tensors.
LENIENT = "dtypes match"


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("name", INPUTS)
def test_index(index, name):
    compare(f"{name}[{index}]", base=name, strides=name == "x")  # torch permutes copies of permuted tensors


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("name", ["x", "i", "p"])
def test_assignment(index, name):
    for value in ASSIGNED:
        code = f"{name}[{index}] = {value}\nx = {name}"
        if isinstance(theirs := run(torch, code), Exception) and LENIENT in str(theirs):
            continue
        compare(code, classes=False)  # where two things are wrong, either may be found first
