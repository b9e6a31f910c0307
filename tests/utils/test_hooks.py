"""RemovableHandle."""

from collections import OrderedDict

import pynn.utils.hooks
from pynn.utils.hooks import RemovableHandle


def test_remove_takes_the_hook_out_of_all_its_dicts():
    hooks, flags, more = OrderedDict(), OrderedDict(), OrderedDict()
    handles = [
        RemovableHandle(hooks),
        RemovableHandle(hooks, extra_dict=flags),
        RemovableHandle(hooks, extra_dict=[more]),
    ]
    assert len({handle.id for handle in handles}) == 3
    for handle in handles:
        for d in (hooks, flags, more):
            d[handle.id] = print
    for handle in handles:
        handle.remove()
        handle.remove()
    assert not hooks
    assert list(flags) == [handles[0].id, handles[2].id]
    assert list(more) == [handles[0].id, handles[1].id]


def test_context_manager_and_dead_owner():
    hooks = OrderedDict()
    with RemovableHandle(hooks) as handle:
        hooks[handle.id] = print
    assert not hooks
    handle = RemovableHandle(OrderedDict())  # its dict is gone already
    handle.remove()
    assert pynn.utils.hooks.RemovableHandle is RemovableHandle
