"""Between NumPy arrays and the messages of TensorFlow Serving, without TensorFlow.

Big values never pass through protobuf: responses are read where they were received, requests are joined from
the arrays' own bytes. Messages count by their fields alone: the official classes and those of
`gannet_client.wire` work alike.
"""

from gannet_client.codec.dtypes import Array, dtype_name
from gannet_client.codec.reading import MAX_EXPANDED_BYTES, Response, decode, decode_response, read_response
from gannet_client.codec.writing import encode, encode_request, encode_values

__all__ = [
    "MAX_EXPANDED_BYTES",
    "Array",
    "Response",
    "decode",
    "decode_response",
    "dtype_name",
    "encode",
    "encode_request",
    "encode_values",
    "read_response",
]
