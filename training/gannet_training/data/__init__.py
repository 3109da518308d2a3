"""Images to learn from.

>>> source = open_data("ring")
>>> source.size, source.image_shape, source.class_names
(100000, (1, 1, 2), ('0', '1', '2', '3', '4', '5', '6', '7'))
"""

from gannet_training.data.errors import DataError, data_errors
from gannet_training.data.registry import DataFormat, class_names, data_format, open_data
from gannet_training.data.source import ImageSource, fingerprint, in_memory, is_point

__all__ = [
    "DataError",
    "DataFormat",
    "ImageSource",
    "class_names",
    "data_errors",
    "data_format",
    "fingerprint",
    "in_memory",
    "is_point",
    "open_data",
]
