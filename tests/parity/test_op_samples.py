"""Every function of torch that PyTorch's own tests have samples for, beside PyTorch; see tests/op_samples.py."""

import pytest

pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from op_convert import Unavailable, counterpart
from op_differences import BY_CPU, DIFFERENCES, OTHER_STRIDES
from op_samples import check, op_db


def name_of(op):
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def there(op):
    try:
        counterpart(op)
    except Unavailable:
        return False
    return True


OPS = [op for op in op_db if op.dtypes and there(op)]
IDS = [name_of(op) for op in OPS]


def known(op):
    """The kinds of differences that are listed, each with its reason."""
    listed = dict(DIFFERENCES.get(name_of(op), {}))
    for reason, names in OTHER_STRIDES.items():
        if op.name in names or name_of(op) in names:
            listed["strides"] = reason
    return listed


@pytest.mark.parametrize("op", OPS, ids=IDS)
def test_samples(op):
    found, listed = check(op), known(op)
    new = {kind: text for kind, text in found.items() if not any(kind.startswith(k) for k in listed)}
    assert not new, "\n".join(f"{kind}: {text}" for kind, text in new.items())
    gone = [k for k, why in listed.items() if why != BY_CPU and not any(kind.startswith(k) for kind in found)]
    assert not gone, f"no longer different: {gone}; take it out of tests/op_differences.py"


def test_the_list_names_what_there_is():
    names = {*IDS, *(op.name for op in OPS)}
    listed = [*DIFFERENCES, *(n for group in OTHER_STRIDES.values() for n in group)]
    assert not [name for name in listed if name not in names]
