"""TensorFlow Serving's configuration messages that tensorflow-serving-api leaves out, and files of them."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.wrappers_pb2 import DESCRIPTOR as WRAPPERS

from gannet_client.errors import UsageError

_PACKAGE = "tensorflow.serving"
_MESSAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "SSLConfig": (
        ("server_key", "string"),
        ("server_cert", "string"),
        ("custom_ca", "string"),
        ("client_verify", "bool"),
    ),
    "PrometheusConfig": (("enable", "bool"), ("path", "string")),
    "MonitoringConfig": (("prometheus_config", "tensorflow.serving.PrometheusConfig"),),
    "BatchingParameters": (
        ("max_batch_size", "google.protobuf.Int64Value"),
        ("batch_timeout_micros", "google.protobuf.Int64Value"),
        ("max_enqueued_batches", "google.protobuf.Int64Value"),
        ("num_batch_threads", "google.protobuf.Int64Value"),
        ("thread_pool_name", "google.protobuf.StringValue"),
        ("allowed_batch_sizes", "repeated int64"),
        ("pad_variable_length_inputs", "bool"),
        ("enable_large_batch_splitting", "google.protobuf.BoolValue"),
        ("max_execution_batch_size", "google.protobuf.Int64Value"),
    ),
}
"""The fields of each message, name and type, in the order of their numbers, which begin at 1."""


def new_message(name: str) -> Any:
    """An empty message.

    >>> config = new_message("BatchingParameters")
    >>> config.max_batch_size.value = 64
    >>> print(text_format.MessageToString(config, as_one_line=True))
    max_batch_size { value: 64 }
    """
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()


def read_text_proto(name: str, flag: str, path: str) -> Any:
    """The message in a file; what the file holds is in no error, because it may be secret.

    Args:
        name: Of the message: `SSLConfig` or `MonitoringConfig`.
        flag: Of the command line, without dashes.
        path: The file's.

    Raises:
        UsageError: It cannot be read or is no such message.
    """
    try:
        return text_format.Parse(Path(path).read_bytes(), new_message(name))
    except OSError as error:
        raise UsageError(f"cannot read --{flag} {path}: {error.strerror}") from None
    except text_format.ParseError as error:
        place = f", line {error.GetLine()}, column {error.GetColumn()}" if error.GetLine() else ""
        raise UsageError(f"--{flag}: expected a {name} in text form, received {path!r}{place}") from None


def _pool() -> DescriptorPool:
    """One of our own: another library may have registered the same names."""
    file = FileDescriptorProto(
        name="gannet/text_protos.proto", package=_PACKAGE, syntax="proto3", dependency=[WRAPPERS.name]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            _add_field(message, field, number, kind)
    pool = DescriptorPool()
    pool.AddSerializedFile(WRAPPERS.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    repeated, _, kind = kind.rpartition(" ")
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if "." in kind:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{kind}"
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")


_POOL = _pool()
