"""einsum, against NumPy's."""

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, tensor

import pynn

EQUATIONS = [
    ("i,i->", (4,), (4,)),
    ("i,j->ij", (3,), (4,)),
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,kj->ik", (2, 3), (4, 3)),
    ("ji,jk", (3, 2), (3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("ba", (2, 3)),
    ("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
    ("...i,...i->...", (2, 3), (3,)),
    ("b...->...b", (2, 3, 4)),
    ("ij,j->ij", (2, 3), (3,)),
    ("ij,ij,ij->i", (2, 3), (2, 3), (2, 3)),
    ("ik,kl,lm->im", (2, 3), (3, 4), (4, 2)),
    ("bn,anm,bm->ba", (2, 3), (5, 3, 4), (2, 4)),
    (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("Aa,aB->AB", (2, 3), (3, 2)),
    (",ij->ij", (), (2, 2)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 3)),
]


@pytest.mark.parametrize(("equation", "shapes"), [(e, s) for e, *s in EQUATIONS], ids=str)
def test_equations(equation, shapes):
    def ref(*arrays):
        if shapes == [(2, 1), (3, 4)]:  # a size of 1 broadcasts, in NumPy only by hand
            arrays = (np.repeat(arrays[0], 3, 1), arrays[1])
        return np.einsum(equation.replace(" ", ""), *arrays)

    check_op(lambda *t: pynn.einsum(equation, *t), ref, [arrs(*shapes)], tol=3, grad_tol=3)


def test_forms_of_the_call():
    a, b = tensor(arr(2, 3)), tensor(arr(3, 4, seed=1))
    for got in (
        pynn.einsum("ij,jk->ik", [a, b]),
        pynn.einsum("ij,jk->ik", (a, b)),
        pynn.einsum(a, [0, 1], b, [1, 2], [0, 2]),
    ):
        assert pynn.allclose(got, a @ b)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)]),  # sizes differ
        ("ij,jk->ik", [(2, 3)]),  # an operand is missing
        ("ij->ij", [(2, 3), (2, 3)]),  # one too many
        ("ijk->i", [(2, 3)]),  # rank
        ("ij->iz", [(2, 3)]),  # unknown letter
        ("ij->ii", [(2, 3)]),  # repeated in the result
        ("i1->i", [(2, 3)]),  # not a letter
        ("i.j->i", [(2, 3)]),
        ("ii->i", [(2, 3)]),
    ],
    ids=str,
)
def test_errors(equation, shapes):
    with raises(RuntimeError, "einsum"):
        pynn.einsum(equation, *(pynn.ones(*s) for s in shapes))


@pytest.mark.parametrize("dtype", [pynn.uint8, pynn.int32, pynn.bool])
def test_integers_become_int64_where_a_dim_is_summed_alone(dtype):
    a, b = pynn.ones(2, 300, dtype=dtype), pynn.ones(300, dtype=dtype)
    for equation, operands, value in (
        ("ij->i", (a,), 300),
        ("ij,k->ik", (a, b), 300),
        ("...ik,...j->ij", (a.unsqueeze(0), b), 300),
        ("i,j->", (b, b), 90_000),
        ("ij,j->", (a, b), 600),  # PyTorch's product of int64 and another type fails
        ("ij,ij,kl->i", (a, a, a), 600 * (300 % 256 if dtype == pynn.uint8 else 300)),  # products wrap
    ):
        if dtype == pynn.bool and equation == "ij,ij,kl->i":
            continue  # a product of bool matrices comes first
        found = pynn.einsum(equation, *operands)
        assert found.dtype == pynn.int64 and found.flatten()[0].item() == value, equation
    assert pynn.einsum("ij,j->ij", a, b).dtype == dtype
    one = pynn.ones(1, 3, dtype=dtype)
    assert pynn.einsum("ij->j", one).dtype == pynn.int64
    assert pynn.einsum("ij,k->jk", one, b).dtype == dtype  # a size of 1 is no sum
    if dtype != pynn.bool:
        assert pynn.einsum("ij,j->i", a, b).dtype == dtype


def test_a_sum_over_one_row_is_no_view():
    x = pynn.ones(1, 3)
    pynn.einsum("ij->j", x).zero_()
    assert x.tolist() == [[1, 1, 1]]


def test_not_tensors():
    with pytest.raises((TypeError, AttributeError, RuntimeError, ValueError)):
        pynn.einsum("i,i->", 1, 2)
    with pytest.raises((TypeError, AttributeError, RuntimeError, ValueError, NotImplementedError)):
        pynn.einsum(pynn.ones(2))
