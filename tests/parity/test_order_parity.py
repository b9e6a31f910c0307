"""Order statistics, searches, counts, running extrema, distances and covariances beside PyTorch."""

import numpy as np
from parity_helpers import bools, both, floats, integers, table

F, I = floats, integers
X, M, V = F(2, 3, 4), F(4, 5), F(6)
NAN = np.array([[1.0, np.nan, 3.0, 2.0], [0.5, 0.25, 4.0, -1.0], [np.nan] * 4])
TIES = np.array([[3, 1, 3, 1, 2, 2], [2, 2, 2, 1, 1, 0]])
FINITE = np.nan_to_num(NAN, nan=9.0)
Q = np.array([0.0, 0.3, 0.5, 1.0])

CASES = [
    *[("cummax", lambda t, x, d=d: (t.cummax(x, d), x.cummin(d)), X) for d in (0, 1, -1)],
    ("cummax", lambda t, x: (t.cummax(x, 1), t.cummin(x, 1)), NAN),
    ("cummax", lambda t, x: (t.cummax(x, 1), t.cummin(x, 1)), TIES),
    ("cummax", lambda t, x: (t.cummax(x, 0), t.cummin(x, 0)), bools(9)),
    ("cummax", lambda t, x: (t.cummax(x, 0), t.cummin(x, -1)), F()),
    ("cummax", lambda t, x: (t.cummax(x, 0), t.cummin(x, 1)), F(3, 0)),
    ("cummax", lambda t, x: t.cummax(x, 0), F(9, dtype="float16")),
    ("cummax", lambda t, x: t.cummax(x, 2), M),
    *[("logcumsumexp", lambda t, x, d=d: t.logcumsumexp(x, d), X) for d in (0, 1, -1)],
    ("logcumsumexp", lambda t, x: x.logcumsumexp(0), F()),
    (
        "logcumsumexp",
        lambda t, x: x.detach().logcumsumexp(0),
        np.array([-np.inf, -np.inf, 1, np.inf, 2, np.nan]),
    ),
    ("logcumsumexp", lambda t, x: x.logcumsumexp(0), np.array([-800.0, 700, 800, -900])),
    ("logcumsumexp", lambda t, x: x.logcumsumexp(0), I(3)),
    ("logcumsumexp", lambda t, x: x.logcumsumexp(0), F(5, dtype="float32")),
    ("mode", lambda t, x: (t.mode(x), x.mode(0), x.mode(1, keepdim=True)), TIES),
    ("mode", lambda t, x: (t.mode(x), x.mode(1)), np.round(X)),
    ("mode", lambda t, x: t.mode(x), F()),
    ("mode", lambda t, x: t.mode(x), bools(7)),
    ("mode", lambda t, x: (t.mode(x, 0), t.mode(x, 0, True)), F(3, 0)),
    ("mode", lambda t, x: t.mode(x, 1), F(3, 0)),
    ("median", lambda t, x: (t.median(x), t.median(x, 1), x.median(0, keepdim=True)), M),
    ("nanmedian", lambda t, x: (t.nanmedian(x), t.nanmedian(x, 1)), NAN[:2]),
    ("kthvalue", lambda t, x: t.kthvalue(x, 2, 1), M),
    *[
        (
            "quantile",
            lambda t, x, h=how: (x.quantile(0.3, interpolation=h), t.quantile(x, 0.6, 1, interpolation=h)),
            M,
        )
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    ],
    ("quantile", lambda t, x, q: (t.quantile(x, q.detach()), x.quantile(q.detach(), dim=1)), X, Q),
    (
        "quantile",
        lambda t, x, q: (x.quantile(q.detach(), 0, True), x.quantile(q.detach(), keepdim=True)),
        X,
        Q,
    ),
    ("quantile", lambda t, x: (x.quantile(0.5, 0, keepdim=True), x.quantile(0.25, -1)), X),
    (
        "quantile",
        lambda t, x: (t.quantile(x.detach(), 0.4, dim=1), t.nanquantile(x.detach(), 0.4, dim=1)),
        NAN,
    ),
    ("nanquantile", lambda t, x, q: t.nanquantile(x.detach(), q.detach(), dim=0), NAN, Q),
    ("nanquantile", lambda t, x: x.detach().nanquantile(0.4), NAN),
    ("quantile", lambda t, x: t.quantile(x, 0.4), F()),
    ("quantile", lambda t, x: t.quantile(x, 0.4), F(5, dtype="float32")),
    ("quantile", lambda t, x: t.quantile(x, 0.4), F(5, dtype="float16")),
    ("quantile", lambda t, x, q: (t.quantile(x, q), x.nanquantile(q, 1)), M, Q),
    ("quantile", lambda t, x: t.quantile(x, 1.5), V),
    ("quantile", lambda t, x: t.quantile(x, t.tensor([1.5]).double()), V),
    ("quantile", lambda t, x: t.quantile(x, t.tensor([0.5])), V),
    ("quantile", lambda t, x: t.quantile(x, 0.5, interpolation="x"), V),
    ("quantile", lambda t, x: t.quantile(x, 0.5), F(0)),
    ("quantile", lambda t, x: t.quantile(x, 0.5, dim=3), V),
    ("histc", lambda t, x: (t.histc(x.detach()), x.detach().histc(5), x.detach().histc(4, -1, 1)), F(50)),
    ("histc", lambda t, x: (t.histc(x.detach(), 4), x.detach().histc(4, 2, 2)), np.full(3, 2.0)),
    ("histc", lambda t, x: t.histc(x.detach(), 4), F(0)),
    ("histc", lambda t, x: t.histc(x.detach(), 4, 2, 1), V),
    ("histc", lambda t, x: t.histc(x.detach(), 0), V),
    ("histc", lambda t, x: t.histc(x.detach(), 4), NAN),
    ("histc", lambda t, x: t.histc(x, 4), I(4)),
    (
        "histogram",
        lambda t, x: (t.histogram(x.detach(), 5), x.detach().histogram(4, range=(-1.0, 1.0))),
        F(50),
    ),
    (
        "histogram",
        lambda t, x, e: x.detach().histogram(e.detach(), density=True),
        F(50),
        np.array([-1.0, 0, 0.5, 2]),
    ),
    ("histogram", lambda t, x, w: t.histogram(x.detach(), 3, weight=w.detach()), F(5, 4), F(5, 4, seed=1)),
    ("histogram", lambda t, x: t.histogram(x.detach(), 3).hist, V),
    ("histogram", lambda t, x: t.histogram(x, 3), I(4)),
    ("histogramdd", lambda t, x: t.histogramdd(x.detach(), [2, 3]), F(20, 2)),
    (
        "histogramdd",
        lambda t, x: t.histogramdd(x.detach(), 2, range=[-1.0, 1.0, -2.0, 0.5], density=True),
        F(20, 2),
    ),
    ("histogramdd", lambda t, x: t.histogramdd(x.detach(), [2]), F(20, 2)),
    ("bincount", lambda t, x: (t.bincount(x), x.bincount(minlength=12)), I(20, low=0)),
    ("bincount", lambda t, x, w: t.bincount(x, w.detach()), I(20, low=0), F(20)),
    (
        "bincount",
        lambda t, x, w: x.bincount(w.detach(), 9),
        I(20, low=0, dtype="uint8"),
        F(20, dtype="float32"),
    ),
    ("bincount", lambda t, x, w: x.bincount(w), I(20, low=0), I(20)),
    ("bincount", lambda t, x: t.bincount(x), I(0)),
    ("bincount", lambda t, x: t.bincount(x), I(5, low=-3)),
    ("bincount", lambda t, x: t.bincount(x), V),
    ("bincount", lambda t, x: t.bincount(x), I(2, 3, low=0)),
    ("bincount", lambda t, x: t.bincount(x, minlength=-1), I(3, low=0)),
    ("bincount", lambda t, x, w: t.bincount(x, w), I(3, low=0), I(2)),
    *[
        (
            "searchsorted",
            lambda t, s, v, r=r: t.searchsorted(s, v.detach(), right=r),
            np.sort(np.round(F(9))),
            np.round(X),
        )
        for r in (False, True)
    ],
    ("searchsorted", lambda t, s, v: t.searchsorted(s, v), np.sort(I(2, 9)), I(2, 5)),
    (
        "searchsorted",
        lambda t, s, v: t.searchsorted(s, v, side="right", out_int32=True),
        np.sort(I(2, 9)),
        I(2, 5),
    ),
    ("searchsorted", lambda t, s, v: t.searchsorted(s, v, sorter=s.argsort(stable=True)), I(2, 9), I(2, 5)),
    ("searchsorted", lambda t, s: (t.searchsorted(s, 1.5), t.searchsorted(s, 2)), np.sort(V)),
    (
        "searchsorted",
        lambda t, s, v: t.searchsorted(s, v),
        np.array([1.0, 2, np.nan]),
        np.array([np.nan, 1.5, np.inf]),
    ),
    ("searchsorted", lambda t, s, v: t.searchsorted(s, v), V, I(3)),
    ("searchsorted", lambda t, s, v: t.searchsorted(s, v), F(2, 3), F(3, 3)),
    ("searchsorted", lambda t, s: t.searchsorted(s, 1.0), F(2, 3)),
    ("searchsorted", lambda t, s, v: t.searchsorted(s, v, right=True, side="left"), V, V),
    ("searchsorted", lambda t, s, v: t.searchsorted(s, v, side="up"), V, V),
    ("searchsorted", lambda t, s, v: t.searchsorted(s, v, sorter=t.tensor([0])), V, V),
    ("bucketize", lambda t, v, b: (t.bucketize(v, b), t.bucketize(v, b, right=True)), X, np.sort(V)),
    ("bucketize", lambda t, b: (t.bucketize(2, b), t.bucketize(0.5, b, out_int32=True)), np.sort(V)),
    ("bucketize", lambda t, v, b: t.bucketize(v, b), V, M),
    ("isin", lambda t, x, s: (t.isin(x, s), t.isin(x, s, invert=True)), I(4, 5), I(2, 2)),
    ("isin", lambda t, x: (t.isin(x, 3), t.isin(3, x), t.isin(x, 1.5)), I(6)),
    ("isin", lambda t, x, s: t.isin(x, s), NAN, np.array([np.nan, 3.0])),
    ("isin", lambda t, x, s: t.isin(x, s), I(5), F(0)),
    ("isin", lambda t, x, s: t.isin(x, s, assume_unique=True), np.arange(30), np.arange(0, 60, 3)),
    ("isin", lambda t, x, s: t.isin(x, s), bools(3), bools(2)),
    ("max of pairs", lambda t, x, y: (t.max(x, y), t.min(x, y), x.max(y)), I(), I(seed=4)),
    ("max of a dim", lambda t, x: (t.max(x, 1), x.min(0)), M),
    ("isclose", lambda t, x: t.isclose(x, ~x), bools(3)),
    (
        "arange",
        lambda t: (t.arange(0.0, -8.000001, -4.0, dtype=t.int64), t.arange(-0.9, 2.1, 2.0, dtype=t.uint8)),
    ),
    ("arange", lambda t: t.arange(0, 2, 0.5, dtype=t.int64)),
    ("arange", lambda t: t.arange(0, 2, 0.5, dtype=t.int32)),
    ("linspace", lambda t: (t.linspace(4.3, -3, 50, dtype=t.int64), t.logspace(0, 1.2, 2, dtype=t.int64))),
    ("div", lambda t, x: x.div(0.7, rounding_mode="floor"), M),
    ("unique_consecutive", lambda t, x: t.unique_consecutive(x, True, True), TIES),
    ("unique_consecutive", lambda t, x: t.unique_consecutive(x, dim=0), TIES),
    ("aminmax", lambda t, x: (t.aminmax(x), t.aminmax(x, dim=1, keepdim=True)), M),
    ("std_mean", lambda t, x: (t.std_mean(x), t.var_mean(x, 1), t.std_mean(x, dim=(0, 1), correction=0)), M),
    (
        "std_mean",
        lambda t, x: (t.std_mean(x, False), t.var_mean(x, 1, False), t.var_mean(x, 0, True, True)),
        M,
    ),
    (
        "count_nonzero",
        lambda t, x: (t.count_nonzero(x), x.count_nonzero(1), x.count_nonzero((0, 1))),
        I(4, 5),
    ),
    ("nansum", lambda t, x: (t.nansum(x), x.nansum(1), x.nansum((0, 1), keepdim=True)), NAN),
    ("nansum", lambda t, x: t.nansum(x), I(5)),
    (
        "nanmean",
        lambda t, x: (t.nanmean(x.detach()), x.detach().nanmean(1), x.detach().nanmean(0, keepdim=True)),
        NAN,
    ),
    ("nanmean", lambda t, x: t.nanmean(x), NAN),
    ("nanmean", lambda t, x: t.nanmean(x), I(5)),
    ("msort", lambda t, x: (t.msort(x), x.msort()), M),
    *[("renorm", lambda t, x, p=p: (t.renorm(x, p, 0, 1.0), x.renorm(p, -1, 2.0)), X) for p in (1, 2, 3.5)],
    ("renorm", lambda t, x: t.renorm(x, float("inf"), 2, 0.5), X),
    ("renorm", lambda t, x: x.detach().renorm_(2, 0, 1.0), X),
    ("renorm", lambda t, x: t.renorm(x, 2, 0, 1), V),
    ("renorm", lambda t, x: t.renorm(x, 0, 0, 1), M),
    ("renorm", lambda t, x: t.renorm(x, 2, 0, -1), M),
    *[("dist", lambda t, x, y, p=p: (t.dist(x, y, p), x.dist(y)), M, F(5)) for p in (1, 2, 3, float("inf"))],
    ("dist", lambda t, x, y: t.dist(x.detach(), y.detach(), 0), np.round(M), np.round(F(5))),
    ("dist", lambda t, x, y: t.dist(x, y), I(5), I(5)),
    *[
        ("cdist", lambda t, x, y, p=p: t.cdist(x, y, p), F(4, 3), F(5, 3, seed=1))
        for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, float("inf"))
    ],
    ("cdist", lambda t, x, y: t.cdist(x, y), F(2, 1, 4, 3), F(3, 5, 3, seed=1)),
    ("cdist", lambda t, x, y: t.cdist(x, y), F(40, 30), F(30, 30, seed=1)),
    ("cdist", lambda t, x: t.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"), F(4, 3)),
    (
        "cdist",
        lambda t, x, y: t.cdist(x, y, 3.0),
        F(4, 37, dtype="float32"),
        F(5, 37, seed=1, dtype="float32"),
    ),
    ("cdist", lambda t, x, y: t.cdist(x, y), F(0, 3), F(5, 3)),
    ("cdist", lambda t, x, y: t.cdist(x, y), F(4, 0), F(5, 0)),
    ("cdist", lambda t, x, y: t.cdist(x, y), F(4, 3), F(5, 2)),
    ("cdist", lambda t, x, y: t.cdist(x, y), V, V),
    ("cdist", lambda t, x, y: t.cdist(x, y, -1), M, M),
    ("cdist", lambda t, x, y: t.cdist(x, y), M, F(4, 5, dtype="float32")),
    ("cdist", lambda t, x, y: t.cdist(x, y), I(2, 2), I(2, 2)),
    *[("pdist", lambda t, x, p=p: t.pdist(x, p), F(5, 3)) for p in (1.0, 2.0, 3.0)],
    ("pdist", lambda t, x: t.pdist(x), V),
    ("cov", lambda t, x: (t.cov(x), x.cov(correction=0)), M),
    ("cov", lambda t, x, f: t.cov(x, fweights=f), M, I(5, low=1)),
    ("cov", lambda t, x, f, a: x.cov(fweights=f, aweights=a), M, I(5, low=1), F(5, low=0.1)),
    ("cov", lambda t, x, a: x.cov(aweights=a, correction=0), M, F(5, low=0.1)),
    ("cov", lambda t, x: t.cov(x), V),
    ("cov", lambda t, x: t.cov(x), F()),
    ("cov", lambda t, x: t.cov(x), I(2, 4)),
    ("cov", lambda t, x: t.cov(x), X),
    ("cov", lambda t, x: t.cov(x), bools(2, 3)),
    ("cov", lambda t, x: t.cov(x, fweights=t.tensor([-1, 1, 1, 1, 1])), M),
    ("cov", lambda t, x: t.cov(x, fweights=t.tensor([1.0, 1])), M),
    ("cov", lambda t, x: (t.cov(x), t.corrcoef(x)), F(1, 4)),
    ("corrcoef", lambda t, x: (t.corrcoef(x), x.corrcoef()), M),
    ("corrcoef", lambda t, x: t.corrcoef(x), V),
    ("corrcoef", lambda t, x: t.corrcoef(x), F()),
    ("trace", lambda t, x: (t.trace(x), x.trace()), M),
    ("trace", lambda t, x: t.trace(x), I(3, 3, dtype="int8")),
    ("trace", lambda t, x: t.trace(x), V),
    ("trace", lambda t, x: t.trace(x), bools(2, 2)),
    ("cross", lambda t, x, y: (t.cross(x, y, dim=1), x.cross(y, 1)), X, F(2, 3, 4, seed=1)),
    ("cross", lambda t, x, y: t.cross(x, y, dim=-1), F(4, 1, 3), F(2, 3)[None]),
    ("cross", lambda t, x, y: t.cross(x, y), F(2, 3), F(2, 3, seed=1)),
    ("cross", lambda t, x, y: t.cross(x, y), F(2), F(2)),
    ("cross", lambda t, x, y: t.cross(x, y, dim=0), F(2), F(2)),
]


def test_out():
    def call(t, x):
        out = [t.empty(0, dtype=x.dtype) for _ in range(5)]
        t.nansum(x, 1, out=out[0])
        t.softmax(x, 1, out=out[1])
        t.log_softmax(x, 1, out=out[2])
        t.aminmax(x, dim=1, out=(out[3], out[4]))
        return out

    both(call, M, grad=False)


@table(CASES)
def test_same(case):
    name, call, *arguments = case
    both(call, *arguments, where=name, tol=4)
