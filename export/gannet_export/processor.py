"""Sessions that leave the GPU to others."""

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2


def cpu_session(graph: tf.Graph) -> tf.compat.v1.Session:
    """Make a v1 Session on a graph that sees no GPU.

    A GPU's memory belongs to whoever trains or serves beside this process, and the rounding of its fast
    convolutions would be a difference between two graphs that are none.

    Args:
        graph: that is run, or that a SavedModel will be loaded into.
    """
    return tf.compat.v1.Session(graph=graph, config=config_pb2.ConfigProto(device_count={"GPU": 0}))
