"""Everything in this folder needs a device, except what says otherwise by the marker `no_device`."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(item.path).parents and not item.get_closest_marker("no_device"):
            item.add_marker(pytest.mark.cuda)


@pytest.fixture(autouse=True)
def float32_as_it_is():
    """cuDNN does not round float32 to TF32, which is its default."""
    import pynn

    pynn.backends.cudnn.allow_tf32 = False
    yield
    pynn.backends.cudnn.allow_tf32 = True
