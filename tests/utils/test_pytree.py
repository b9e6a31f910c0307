"""utils._pytree: containers apart and together again."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import pynn
from pynn.utils import _pytree as pytree

Point = namedtuple("Point", "x y")


class Box:
    def __init__(self, a, b):
        self.a, self.b = a, b


@pytest.fixture
def box():
    pytree.register_pytree_node(Box, lambda x: ([x.a, x.b], "note"), lambda v, note: Box(*v))
    yield
    del pytree.SUPPORTED_NODES[Box]


@pytest.mark.parametrize(
    ("tree", "leaves"),
    [
        ({"b": 1, "a": [2, (3, 4)]}, [1, 2, 3, 4]),
        (OrderedDict(b=1, a=2), [1, 2]),
        (defaultdict(list, b=1, a=[2]), [1, 2]),
        (Point(1, [2, 3]), [1, 2, 3]),
        (deque([1, 2], maxlen=3), [1, 2]),
        ([], []),
        (None, [None]),
        (5, [5]),
    ],
)
def test_there_and_back(tree, leaves):
    flat, spec = pytree.tree_flatten(tree)
    assert flat == leaves
    again = pytree.tree_unflatten(flat, spec)
    assert again == tree and type(again) is type(tree)
    assert pytree.tree_leaves(pytree.tree_map(lambda x: (x, x), tree)) == [x for x in leaves for _ in (0, 1)]


def test_results_with_names():
    top = pynn.tensor([1.0, 3.0, 2.0]).max(0)
    doubled = pytree.tree_map(lambda x: x * 2, top)
    assert type(doubled) is type(top) and doubled.values == 6 and doubled.indices == 2


def test_registered_classes(box):
    flat, spec = pytree.tree_flatten([Box(1, {"k": 2})])
    assert flat == [1, 2] and spec.children_specs[0].context == "note"
    assert pytree.tree_unflatten([3, 4], spec)[0].b == {"k": 4}
    with pytest.raises(ValueError):
        pytree.register_pytree_node(Box, None, None)
    assert pytree.tree_flatten([Box(1, 2)], is_leaf=lambda x: isinstance(x, Box))[1].children_specs == (
        pytree.LEAF,
    )
