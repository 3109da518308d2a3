"""What can only be seen on a GPU: `make test-gpu`; elsewhere it says so."""

import pytest
import tensorflow as tf


@pytest.fixture(scope="session", autouse=True)
def gpu() -> None:
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("no GPU")
