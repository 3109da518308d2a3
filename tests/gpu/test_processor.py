"""What is checked beside a live server leaves it its GPU."""

import pytest
import tensorflow as tf

from gannet_export.processor import cpu_session

pytestmark = pytest.mark.gpu


def test_a_session_for_checks_has_no_gpu() -> None:
    with tf.Graph().as_default() as graph, cpu_session(graph) as session:
        kinds = {device.device_type for device in session.list_devices()}
    assert "CPU" in kinds
    assert "GPU" not in kinds
