"""The promotion table of two tensors of one dimension or more, and what follows from it."""

import itertools

import pytest
from helpers import ALL_DTYPES, raises

import pynn

NAMES = ["uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "bool"]
SHORT = {
    "u1": "uint8", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "f2": "float16", "bf": "bfloat16", "f4": "float32", "f8": "float64", "b1": "bool",
}  # fmt: skip
TABLE = """
     u1 i1 i2 i4 i8 f2 bf f4 f8 b1
u1   u1 i2 i2 i4 i8 f2 bf f4 f8 u1
i1   i2 i1 i2 i4 i8 f2 bf f4 f8 i1
i2   i2 i2 i2 i4 i8 f2 bf f4 f8 i2
i4   i4 i4 i4 i4 i8 f2 bf f4 f8 i4
i8   i8 i8 i8 i8 i8 f2 bf f4 f8 i8
f2   f2 f2 f2 f2 f2 f2 f4 f4 f8 f2
bf   bf bf bf bf bf f4 bf f4 f8 bf
f4   f4 f4 f4 f4 f4 f4 f4 f4 f8 f4
f8   f8 f8 f8 f8 f8 f8 f8 f8 f8 f8
b1   u1 i1 i2 i4 i8 f2 bf f4 f8 b1
"""


def _table():
    lines = TABLE.strip().splitlines()
    columns = lines[0].split()
    for line in lines[1:]:
        row, *cells = line.split()
        for column, cell in zip(columns, cells, strict=True):
            yield SHORT[row], SHORT[column], SHORT[cell]


@pytest.mark.parametrize("row", NAMES)
def test_table(row):
    for a, b, expected in _table():
        if a != row:
            continue
        a, b, expected = (getattr(pynn, n) for n in (a, b, expected))
        assert pynn.promote_types(a, b) == expected
        x, y = pynn.ones(2, dtype=a), pynn.ones(2, dtype=b)
        assert (x + y).dtype == expected
        assert (x * y).dtype == expected
        assert pynn.where(pynn.tensor([True, False]), x, y).dtype == expected
        assert pynn.cat([x, y]).dtype == expected
        assert pynn.maximum(x, y).dtype == expected
        assert (x == y).dtype == pynn.bool
        assert pynn.result_type(x, y) == expected
        assert (x / y).dtype == (expected if expected.is_floating_point else pynn.float32)


def test_result_type_of_mixed_dimensions():
    row, zero_d = pynn.ones(2, dtype=pynn.int8), pynn.tensor(1.0, dtype=pynn.float64)
    assert pynn.result_type(row, 1) == pynn.int8
    assert pynn.result_type(row, 1.5) == pynn.float32
    assert pynn.result_type(row, zero_d) == pynn.float64
    assert pynn.result_type(zero_d, 1) == pynn.float64
    assert pynn.result_type(1, 2) == pynn.int64
    assert pynn.result_type(1, 2.5) == pynn.float32


def test_can_cast():
    for a, b in itertools.product(ALL_DTYPES, ALL_DTYPES):
        category = [0 if d == pynn.bool else 2 if d.is_floating_point else 1 for d in (a, b)]
        assert pynn.can_cast(a, b) == (category[0] <= category[1]), (a, b)


def test_no_promotion_where_pytorch_has_none():
    with raises(RuntimeError, "(?i)mm|matmul|dtype"):
        pynn.mm(pynn.ones(2, 2), pynn.ones(2, 2, dtype=pynn.float64))
    with raises(RuntimeError, "(?i)dtype|double|float64"):
        pynn.matmul(pynn.ones(2, 2), pynn.ones(2, 2, dtype=pynn.float64))
    with raises(RuntimeError):
        pynn.zeros(2).scatter_(0, pynn.tensor([0]), pynn.ones(1, dtype=pynn.float64))


def test_values_survive_promotion():
    big = pynn.tensor([2**53 + 1])
    assert (big + pynn.tensor([0], dtype=pynn.int8)).item() == 2**53 + 1
    assert (pynn.tensor([255], dtype=pynn.uint8) + pynn.tensor([-1], dtype=pynn.int8)).item() == 254
    assert (pynn.tensor([0.1], dtype=pynn.float64) + pynn.tensor([0])).item() == 0.1
    half = pynn.tensor([1.0], dtype=pynn.float16) + pynn.tensor([2.0**-10], dtype=pynn.bfloat16)
    assert half.item() == 1.0 + 2.0**-10
