"""typing.get_type_hints works on every class of nn and optim: libraries read the annotations of their own subclasses."""

import typing

import pytest

from pynn import nn, optim

CLASSES = [
    c for space in (nn, optim) for n in dir(space) if isinstance(c := getattr(space, n), type) and n[0] != "_"
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_type_hints(kind):
    typing.get_type_hints(kind)
