"""Everything in this folder needs a device, except what says otherwise by the marker `no_device`."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(item.path).parents and not item.get_closest_marker("no_device"):
            item.add_marker(pytest.mark.cuda)
