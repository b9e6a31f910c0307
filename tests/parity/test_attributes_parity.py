"""Methods without C++, windows and attributes beside PyTorch."""

import warnings

import numpy as np
import pytest
from parity_helpers import bools, both, floats, integers, table

import pynn

torch = pytest.importorskip("torch")
F, I = floats, integers
X, M = F(2, 3, 4), F(4, 5)

WINDOWS = ["hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"]
CASES = [
    *[
        (n, lambda t, n=n, k=k, p=p: getattr(t, n)(k, p, dtype=t.float64))
        for n in WINDOWS
        for k in (0, 1, 2, 3, 8, 9)
        for p in (True, False)
    ],
    *[(n, lambda t, n=n: getattr(t, n)(7)) for n in WINDOWS],
    *[(n, lambda t, n=n: getattr(t, n)(-1)) for n in WINDOWS],
    *[(n, lambda t, n=n: getattr(t, n)(4, dtype=t.int64)) for n in WINDOWS],
    ("hamming_window", lambda t: t.hamming_window(6, True, 0.5, 0.3)),
    ("kaiser_window", lambda t: t.kaiser_window(6, False, 5.0)),
    *[
        ("signal", lambda t, n=n, m=m, s=s: getattr(t.signal.windows, n)(m, sym=s, dtype=t.float64))
        for n in "bartlett blackman cosine exponential gaussian general_hamming hamming hann kaiser nuttall".split()
        for m in (0, 1, 2, 7, 8)
        for s in (True, False)
    ],
    ("signal", lambda t: t.signal.windows.general_cosine(7, a=[0.4, 0.3, 0.2])),
    ("signal", lambda t: t.signal.windows.general_cosine(7, a=[])),
    ("signal", lambda t: t.signal.windows.exponential(7, center=2.0, tau=3.0, sym=False)),
    ("signal", lambda t: t.signal.windows.exponential(7, center=2.0)),
    ("signal", lambda t: t.signal.windows.gaussian(7, std=-1.0)),
    ("signal", lambda t: t.signal.windows.hann(-1)),
    ("signal", lambda t: t.signal.windows.hann(5, dtype=t.int64)),
    ("apply_", lambda t, x: x.detach().apply_(lambda v: v * 2 + 1), M),
    ("apply_", lambda t, x: x.apply_(lambda v: 2.7), I(3)),
    ("apply_", lambda t, x: x.apply_(lambda v: v), M),
    ("map_", lambda t, x, y: x.detach().map_(y.detach(), lambda a, b: a - b), M, F(5)),
    ("map_", lambda t, x, y: x.detach().map_(y.detach(), lambda a, b: a), F(2), F(3)),
    ("map2_", lambda t, x: x.detach().map2_(x.detach(), x.detach(), lambda a, b, c: a + b * c), M),
    *[
        ("fill_diagonal_", lambda t, s=s, w=w: t.zeros(s).fill_diagonal_(2.0, w))
        for s in ((3, 3), (7, 3), (8, 3), (3, 7), (2, 2, 2), (9, 2))
        for w in (False, True)
    ],
    ("fill_diagonal_", lambda t, x: x.clone().fill_diagonal_(1.0), M),
    ("fill_diagonal_", lambda t, x: x.T.clone().T.fill_diagonal_(1.0), M),
    ("fill_diagonal_", lambda t: t.zeros(3).fill_diagonal_(1)),
    ("fill_diagonal_", lambda t: t.zeros(2, 3, 2).fill_diagonal_(1)),
    (
        "is_set_to",
        lambda t, x: (
            x.is_set_to(x),
            x.is_set_to(x.view(20)),
            x.is_set_to(x.view(4, 5)),
            x.is_set_to(x.clone()),
        ),
        M,
    ),
    (
        "new_empty_strided",
        lambda t, x: (lambda y: (y.shape, y.stride(), str(y.dtype)))(x.new_empty_strided((2, 3), (1, 2))),
        M,
    ),
    ("dim_order", lambda t, x: (x.dim_order(), x.permute(2, 0, 1).dim_order()), X),
    ("empty_permuted", lambda t: t.empty_permuted((2, 3, 4), (1, 2, 0)).stride()),
    ("empty_permuted", lambda t: t.empty_permuted((2, 3, 4), (1, 2))),
    (
        "storage",
        lambda t, x: (lambda s: (len(s), s.size(), s.nbytes(), s.element_size(), s[3], s.tolist()))(
            x[1:].storage()
        ),
        M,
    ),
    ("imag", lambda t, x: x.imag, M),
    ("imag", lambda t, x: t.imag(x), M),
    (
        "is",
        lambda t, x: (
            t.is_conj(x),
            x.is_neg(),
            t.is_distributed(x),
            t.is_same_size(x, x.T),
            t.get_device(x),
            x.name,
        ),
        M,
    ),
    (
        "is",
        lambda t, x: (x.is_sparse, x.is_quantized, x.is_mkldnn, x.is_xla, x.is_cuda, x.is_meta, x.is_leaf),
        M,
    ),
    (
        "resize",
        lambda t, x: (x.resize(5, 4), x.T.resize(2, 10), x.resize_as(x.T), x.to_dense(), x.dense_dim()),
        M,
    ),
    ("resize", lambda t, x: x.resize(3, 3), M),
    ("zero_", lambda t, x: (t.fill_(x.detach(), 2.0).clone(), t.zero_(x.detach())), M),
    ("range", lambda t: (t.range(1, 3), t.range(0, 1, 0.25, dtype=t.float64), t.range(3, 1, -0.5))),
    ("range", lambda t: t.range(1, 3, -1)),
    ("range", lambda t: t.range(1, 3, 0)),
    *[
        (
            "types",
            lambda t, a=a: [
                [
                    (
                        t.can_cast(getattr(t, a), getattr(t, b)),
                        str(t.promote_types(getattr(t, a), getattr(t, b))),
                    )
                    for b in ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64")
                ]
            ],
        )
        for a in ("bool", "uint8", "int8", "int16", "int64", "float16", "bfloat16", "float32", "float64")
    ],
    (
        "result_type",
        lambda t, x, y: (
            str(t.result_type(x, y)),
            str(t.result_type(x, 2.5)),
            str(t.result_type(1, y)),
            str(t.result_type(2, 1.5)),
        ),
        I(3),
        F(2, dtype="float32"),
    ),
    (
        "predicates",
        lambda t, x: (
            t.is_tensor(x),
            t.is_tensor(3),
            t.is_floating_point(x),
            t.is_complex(x),
            t.is_storage(x),
            t.numel(x),
            t.is_nonzero(x[0, 0]),
        ),
        M,
    ),
    ("constants", lambda t: (t.inf, t.nan, t.pi, t.e, t.newaxis)),
    ("bools", lambda t, x: (x.all(), x.any(), x.sum(), x.is_signed()), bools(4)),
]


@table(CASES)
def test_same(case):
    name, call, *arguments = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both(call, *arguments, where=name, tol=10)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_finfo(name):
    ours, theirs = pynn.finfo(getattr(pynn, name)), torch.finfo(getattr(torch, name))
    for field in "bits eps max min tiny smallest_normal resolution dtype".split():
        assert getattr(ours, field) == getattr(theirs, field), field
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_iinfo(name):
    ours, theirs = pynn.iinfo(getattr(pynn, name)), torch.iinfo(getattr(torch, name))
    for field in "bits max min dtype".split():
        assert getattr(ours, field) == getattr(theirs, field), field
    assert repr(ours) == repr(theirs)


def test_window_sums():
    """Periodic Hann windows half a length apart add up to one."""
    w = pynn.hann_window(16, dtype=pynn.float64)
    np.testing.assert_allclose((w + w.roll(8)).numpy(), 1)


@pytest.mark.parametrize(
    "read", ["t.numpy()", "np.asarray(t)", "np.array(t)", "t.__array__()", "np.asarray(t, np.float64)"]
)
def test_numpy_of_what_requires_grad(read):
    for lib in (pynn, torch):
        t = lib.ones(2, requires_grad=True) * 2
        with pytest.raises(RuntimeError, match="Can't call numpy"):
            eval(read, {"t": t, "np": np})
        with lib.no_grad():
            assert eval(read, {"t": t, "np": np}).tolist() == [2, 2]
