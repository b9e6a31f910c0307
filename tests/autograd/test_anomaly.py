"""Anomaly detection: NaN in backward is an error, and every backward error names the forward line."""

import math
import re
import warnings

import pytest
from helpers import raises

import pynn


def _messages(call, kind=RuntimeError):
    """Everything said by warning and by error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(kind) as error:
            call()
    notes = getattr(error.value, "__notes__", [])
    return "\n".join([str(error.value), *notes, *(str(w.message) for w in caught)])


def test_switches():
    assert not pynn.is_anomaly_enabled()
    with pynn.autograd.detect_anomaly():
        assert pynn.is_anomaly_enabled()
        with pynn.autograd.set_detect_anomaly(False):
            assert not pynn.is_anomaly_enabled()
        assert pynn.is_anomaly_enabled()
    assert not pynn.is_anomaly_enabled()
    pynn.autograd.set_detect_anomaly(True)
    try:
        assert pynn.is_anomaly_enabled()
    finally:
        pynn.autograd.set_detect_anomaly(False)


def test_nan_is_an_error_that_names_the_forward_line():
    x = pynn.tensor([0.0], requires_grad=True)
    (pynn.sqrt(x) * 0).sum().backward()  # without it: silently NaN
    assert x.grad.isnan().all()
    with pynn.autograd.detect_anomaly():
        y = pynn.sqrt(x) * 0  # THE FORWARD LINE
        said = _messages(lambda: y.sum().backward())
    assert re.search("(?i)sqrt", said) and "nan" in said
    assert "THE FORWARD LINE" in said and "test_anomaly.py" in said


def test_check_nan_may_be_off():
    x = pynn.tensor([0.0], requires_grad=True)
    with pynn.autograd.detect_anomaly(check_nan=False):
        (pynn.sqrt(x) * 0).sum().backward()
    assert x.grad.isnan().all()


def test_other_errors_name_the_forward_line_too():
    x = pynn.ones(2, requires_grad=True)
    with pynn.autograd.detect_anomaly():
        y = x.exp()  # SAVED HERE
        y.add_(1)
        said = _messages(lambda: y.sum().backward())
    assert "modified by an inplace operation" in said and "SAVED HERE" in said


def test_error_of_a_custom_function():
    class Bad(pynn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("from backward")

    x = pynn.ones(1, requires_grad=True)
    with pynn.autograd.detect_anomaly():
        y = Bad.apply(x)  # APPLIED HERE
        said = _messages(lambda: y.backward())
    assert "from backward" in said and "APPLIED HERE" in said


def test_nan_in_double_backward():
    x = pynn.tensor([0.0], requires_grad=True)
    with pynn.autograd.detect_anomaly():
        (g,) = pynn.autograd.grad(
            (x**1.5).sum(), x, create_graph=True
        )  # 1.5 sqrt(x): the next one is infinite
        with raises(RuntimeError, "nan"):
            (g * 0).sum().backward()


def test_good_graphs_are_untouched():
    x = pynn.tensor([math.inf, 1.0], requires_grad=True)
    with pynn.autograd.detect_anomaly():
        (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
