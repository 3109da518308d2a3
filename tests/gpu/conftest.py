"""What can only be seen on a GPU: `make test-gpu`; elsewhere it says so."""

import pytest
import tensorflow as tf


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not tf.config.list_physical_devices("GPU"):
        for item in items:
            item.add_marker(pytest.mark.skip(reason="no GPU"))
