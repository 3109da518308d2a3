"""TensorFlow Serving's configuration messages that tensorflow-serving-api leaves out, and files of them."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

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
    "MonitoringConfig": (("prometheus_config", "PrometheusConfig"),),
}
"""The fields of each message, name and type, in the order of their numbers, which begin at 1."""


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
        return text_format.Parse(Path(path).read_bytes(), _message_class(name)())
    except OSError as error:
        raise UsageError(f"cannot read --{flag} {path}: {error.strerror}") from None
    except text_format.ParseError as error:
        place = f", line {error.GetLine()}, column {error.GetColumn()}" if error.GetLine() else ""
        raise UsageError(f"--{flag}: expected a {name} in text form, received {path!r}{place}") from None


def _message_class(name: str) -> Any:
    pool = DescriptorPool()  # of our own: another library may have registered the same names
    pool.AddSerializedFile(_file().SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="gannet/text_protos.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            added = message.field.add(name=field, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
            if kind in _MESSAGES:
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    return file
