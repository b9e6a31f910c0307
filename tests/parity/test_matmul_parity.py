"""Products beside torch: every combination of dims, sizes of 0 included, values, strides, gradients and errors."""

import itertools

import pytest
from side_by_side import compare

SHAPES = [
    "()",
    "(4,)",
    "(0,)",
    "(3, 4)",
    "(4, 3)",
    "(4, 0)",
    "(0, 4)",
    "(2, 3, 4)",
    "(2, 4, 5)",
    "(1, 4, 2)",
    "(0, 4, 2)",
]
SHAPES += ["(5, 1, 3, 4)", "(5, 2, 4, 3)", "(5, 2, 4, 0)", "(2, 0, 4)"]
MAKE = "t.arange(1000.)[:t.Size({0}).numel()].sin().reshape({0}).requires_grad_()"


def product(op, a, b):
    return (
        f"a, b = {MAKE.format(a)}, {MAKE.format(b)}\n"
        f"y = t.{op}(a, b)\n"
        "(y * y).sum().backward()\n"
        "x = y.detach(), a.grad, b.grad"
    )


@pytest.mark.parametrize("op", ["matmul", "mm", "bmm", "mv", "dot", "inner", "outer", "vdot", "mul", "kron"])
@pytest.mark.parametrize("a", SHAPES)
def test_products(op, a):
    for b in SHAPES:
        compare(product(op, a, b), rtol=1e-5, atol=1e-5, classes=False)


ADDED = ["()", "(3,)", "(2, 3)", "(2, 1)", "(1, 3)", "(4,)", "(2, 2, 3)"]


@pytest.mark.parametrize("c", ADDED)
def test_added_products(c):
    for beta, alpha in itertools.product((0, 1, 0.5), (0, 1, 2)):
        more = f"beta={beta}, alpha={alpha}"
        for op, a, b in [
            ("addmm", "(2, 4)", "(4, 3)"),
            ("addmm", "(2, 0)", "(0, 3)"),
            ("addmm", "(2, 4)", "(3, 4)"),
            ("addmv", "(3, 4)", "(4,)"),
            ("addbmm", "(5, 2, 4)", "(5, 4, 3)"),
            ("baddbmm", "(2, 2, 4)", "(2, 4, 3)"),
            ("addr", "(2,)", "(3,)"),
        ]:
            args = ", ".join(MAKE.format(s) for s in (c, a, b))
            compare(f"t.{op}({args}, {more}).detach()", rtol=1e-5, atol=1e-5)


TYPES = """
t.matmul(i[0], i[0].t())
t.matmul(i, i.transpose(1, 2))
t.matmul(h, h.t())
t.matmul(m, m.t().double())
t.matmul(m.long(), m.t())
t.matmul(k, k.t())
t.mm(m.to(t.bfloat16), m.t().to(t.bfloat16))
t.dot(v.long(), v.long())
m @ m.t()
m @ v
m @ 2
2 @ m
m.matmul(m)
t.mm(m, v)
t.bmm(m, m)
t.mv(m, m)
t.dot(m, m)
t.matmul(m, m.t(), out=t.zeros(3, 3))
t.matmul(m, m.t(), out=t.zeros(2))
t.mm(m.t(), m).stride()
(x @ m.t()).stride()
(x.transpose(1, 2) @ x).stride()
t.tensordot(x, x, 2)
t.tensordot(x, x, 0)
t.tensordot(x, x, ([1, 2], [1, 2]))
t.tensordot(x, m, ([1, 2], [0, 1]))
t.tensordot(x, m, dims=([2], [1]))
t.tensordot(x, m, 2)
t.tensordot(x, m, 3)
t.tensordot(m, m, 1)
t.nn.functional.linear(x, m)
t.nn.functional.linear(x, m, v[:3])
t.nn.functional.linear(x, m, v)
t.nn.functional.linear(v[:4], m)
t.nn.functional.linear(c, m)
t.nn.functional.linear(x, v[:4])
t.nn.functional.linear(t.zeros(0, 4), m)
t.nn.functional.bilinear(m[:2], m[:2], t.ones(3, 4, 4))
""".strip().splitlines()


@pytest.mark.parametrize("code", TYPES)
def test_types_and_forms(code):
    compare(code, rtol=1e-5, atol=1e-5)


EINSUM = """
"ij,jk->ik", m, m.t()
"ij,jk", m, m.t()
"ij->ji", m
"ji", m
"ii", q
"ii->i", q
"iii->i", t.ones(3, 3, 3)
"ij->", m
"ij->i", m
"ij->j", m
"i,j->ij", v, v
"i,i", v, v
"i,i->i", v, v
"bij,bjk->bik", x, x.transpose(1, 2)
"bij,bkj->bik", x, x
"...ij,...jk->...ik", x, x.transpose(1, 2)
"...ij,jk", x, m.t()
"...", x
"...->...", x
"i...->...", x
"...i->i...", x
"bij,ij->b", x, m
"ij,kl->ijkl", m, m
"ij,jk,kl->il", m, m.t(), m
"ij, jk -> ik", m, m.t()
"bn,anm,bm->ba", m[:, :2], t.ones(3, 2, 4), m
"ij,ij->ij", m, m
"ij,j->ij", m, v[:4]
",->", c, c
",ij->ij", c, m
"->", c
"ij->ij", t.zeros(0, 3)
"ij,jk->ik", t.zeros(2, 0), t.zeros(0, 3)
"iJ,Jk->ik", m, m.t()
"a...,b...->ab...", x, x
"ij,jk", m, m
"ij", v
"ijk", m
"ij->ijk", m
"ij->ii", m
"i1", m
"ij->k", m
"ij,jk->ik", m
"ij", m, m
"...i...", m
"ij->i->j", m
"", c
"i->", i[0, 0]
"ij,jk->ik", i[0], i[0].t()
"ij,jk->ik", h, h.t()
"ij,jk->ik", [m, m.t()]
m, [0, 1], m.t(), [1, 2], [0, 2]
m, [0, 1]
"ij,j->i", m, v[:1]
"ij,jk->ki", m, m.t()
"bhid,bhjd->bhij", y, y
""".strip().splitlines()


@pytest.mark.parametrize("args", EINSUM)
def test_einsum(args):
    compare(f"t.einsum({args})", rtol=1e-5, atol=1e-5, strides=False)
