"""The largest errors of the vector functions in units in the last place, as JSON: python tests/ulp.py [points].

References: float64 for float32, NumPy's long double for float64 (mpmath where NumPy has none, with fewer points).
"""

import json
import math
import sys

import mpmath
import numpy as np

import pynn

mpmath.mp.prec = 120
UNARY = "exp exp2 expm1 log log2 log10 log1p tanh sigmoid erf erfc sin cos tan sinh cosh".split()
UNARY += "asin acos atan asinh acosh atanh".split()
BINARY = ("atan2", "pow")
NUMPY = {name: name.replace("a", "arc", 1) for name in UNARY[16:]} | {"atan2": "arctan2", "pow": "power"}
SLOW = {"erf": np.frompyfunc(math.erf, 1, 1), "erfc": np.frompyfunc(math.erfc, 1, 1)}


def exact(name, x):
    """In the next wider type."""
    wide = [v.astype(np.float64 if v.dtype == np.float32 else np.longdouble) for v in x]
    if name == "sigmoid":
        return 1 / (1 + np.exp(-wide[0]))
    if name not in SLOW:
        return getattr(np, NUMPY.get(name, name))(*wide)
    if x[0].dtype == np.float32:
        return SLOW[name](wide[0]).astype(np.float64)
    values = [getattr(mpmath, name)(mpmath.mpf(float(v))) for v in x[0]]
    return np.array([np.longdouble(float(v)) + np.longdouble(float(v - float(v))) for v in values])


def points(dtype, n, seed):
    """All magnitudes, and more of those near 1."""
    rng = np.random.default_rng(seed)
    bits = np.uint32 if dtype == np.float32 else np.uint64
    anything = rng.integers(0, np.iinfo(bits).max, n // 4, bits, endpoint=True).view(dtype)
    some = [
        rng.uniform(-1, 1, n // 4),
        rng.normal(0, 8, n // 4),
        np.exp(rng.normal(0, 4, n // 4)) * rng.choice([-1, 1]),
    ]
    x = np.concatenate([anything, *some]).astype(dtype)
    return x[np.isfinite(x)]


def error(name, dtype, n):
    x = [points(dtype, n, seed) for seed in range(2 if name in BINARY else 1)]
    x = [v[: min(map(len, x))] for v in x]
    if name == "acosh":
        x = [np.abs(v) + dtype(1) for v in x]
    if name == "pow":  # bases whose powers are neither 0 nor infinite
        x = [np.exp(np.clip(x[0], -3, 3)).astype(dtype), np.clip(x[1], -20, 20)]
    if name in SLOW and dtype == np.float64:
        x = [np.random.default_rng(0).permutation(x[0][np.abs(x[0]) < 28])[: n // 40]]
    got = getattr(pynn, name)(*map(pynn.from_numpy, x)).numpy()
    want = exact(name, x)
    near = want.astype(dtype)
    fine = np.isfinite(near) & np.isfinite(got) & (np.abs(near) >= np.finfo(dtype).tiny)
    assert np.array_equal(np.isnan(near), np.isnan(got)), f"{name}: NaN elsewhere"
    ulp = np.spacing(np.abs(near[fine])).astype(want.dtype)
    return float(np.max(np.abs(got[fine] - want[fine]) / ulp))


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with np.errstate(all="ignore"):
        found = {
            kind: {name: round(error(name, dtype, n), 2) for name in (*UNARY, *BINARY)}
            for kind, dtype in (("float", np.float32), ("double", np.float64))
        }
    print(json.dumps(found))
