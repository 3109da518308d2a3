"""Our messages against the official ones: same names, same numbers, same bytes, in both orders of import."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToDict
from google.protobuf.wrappers_pb2 import Int64Value
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2,
    status_pb2,
)

from gannet_client import contract, wire
from gannet_client.operations.messages import METADATA, PREDICT, STATUS

ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "client" / "gannet_client" / "wire"
OFFICIAL = {
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "TensorInfo": meta_graph_pb2.TensorInfo,
    "SignatureDef": meta_graph_pb2.SignatureDef,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "PredictLog": prediction_log_pb2.PredictLog,
    "PredictionLog": prediction_log_pb2.PredictionLog,
    "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
    "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
    "ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
    "StatusProto": status_pb2.StatusProto,
}
names = pytest.mark.parametrize("name", OFFICIAL)


def fill(message: Any) -> Any:
    """Gives every field a value that is not its default, other ones for other fields."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        message.Pack(Int64Value(value=300))
        return message
    for field in message.DESCRIPTOR.fields:
        if field.message_type and field.message_type.GetOptions().map_entry:
            fill(getattr(message, field.name)[f"key {field.number}"])
        elif field.message_type and field.is_repeated:
            fill(getattr(message, field.name).add())
        elif field.message_type:
            fill(getattr(message, field.name))
        elif field.is_repeated:
            getattr(message, field.name).extend([scalar(field)] * 3)
        else:
            setattr(message, field.name, scalar(field))
    return message


def scalar(field: Any) -> Any:
    if field.enum_type:
        return field.enum_type.values[-1].number
    if field.cpp_type == field.CPPTYPE_STRING:
        return f"text {field.number}" if field.type == field.TYPE_STRING else bytes([255, field.number])
    if field.cpp_type == field.CPPTYPE_BOOL:
        return True
    return field.number + 300


def as_dict(message: Any) -> Any:
    return MessageToDict(message, preserving_proto_field_name=True)


@names
def test_bytes_of_ours_are_read_by_the_official_stubs_and_back(name: str) -> None:
    ours = fill(getattr(wire, name)())
    official = OFFICIAL[name].FromString(ours.SerializeToString(deterministic=True))
    assert as_dict(official) == as_dict(ours)
    official.DiscardUnknownFields()
    assert type(ours).FromString(official.SerializeToString()) == ours
    assert not isinstance(official, type(ours))


@names
def test_every_field_has_its_official_name_number_and_type(name: str) -> None:
    compare(getattr(wire, name).DESCRIPTOR, OFFICIAL[name].DESCRIPTOR)


def compare(ours: Any, official: Any) -> None:
    assert ours.full_name == official.full_name
    for field in ours.fields:
        theirs = official.fields_by_number[field.number]
        assert (field.name, field.type, field.is_repeated) == (theirs.name, theirs.type, theirs.is_repeated)
        assert field.is_packed == theirs.is_packed
        if field.enum_type:
            for value in field.enum_type.values:
                assert theirs.enum_type.values_by_number[value.number].name == value.name
        elif field.message_type:
            compare(field.message_type, theirs.message_type)


def test_metadata_of_the_official_stubs_is_unpacked_by_its_true_name() -> None:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["a"].inputs["x"].dtype = 1
    official = get_model_metadata_pb2.GetModelMetadataResponse()
    official.metadata["signature_def"].Pack(signatures)
    ours = wire.GetModelMetadataResponse.FromString(official.SerializeToString())
    unpacked = wire.SignatureDefMap()
    assert ours.metadata["signature_def"].Unpack(unpacked)
    assert unpacked.signature_def["a"].inputs["x"].dtype == 1


def test_the_methods_are_where_the_official_services_have_them() -> None:
    predictions = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"]
    models = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
    assert (predictions.full_name, models.full_name) == (contract.PREDICTION_SERVICE, contract.MODEL_SERVICE)
    paths = {
        f"/{service.full_name}/{name}"
        for service in (predictions, models)
        for name in service.methods_by_name
    }
    assert {PREDICT, METADATA, STATUS} <= paths


def test_it_works_when_ours_is_imported_before_tensorflow() -> None:
    program = (
        "import sys, pytest\n"
        "from gannet_client import wire\n"
        "assert not [name for name in sys.modules if name.startswith('tensorflow')]\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', 'official', *sys.argv[1:]]))\n"
    )
    codec = Path(__file__).with_name("test_codec_wire.py")
    done = subprocess.run(
        [sys.executable, "-c", program, __file__, str(codec)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout


def test_the_committed_descriptors_are_those_of_the_proto_files(tmp_path: Path) -> None:
    # In a process of its own: the compiler's protobuf and TensorFlow's do not share one.
    script = [sys.executable, str(ROOT / "scripts" / "compile_wire.py"), str(tmp_path / "fresh.binpb")]
    subprocess.run(script, check=True)
    fresh, committed = (
        FileDescriptorSet.FromString(path.read_bytes())
        for path in (tmp_path / "fresh.binpb", WIRE / "gannet.binpb")
    )
    assert fresh == committed


def test_the_type_stub_knows_every_field() -> None:
    stub = ast.parse((WIRE / "__init__.pyi").read_text())
    classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
    messages = {name: fields(node) for name, node in classes.items() if not name.startswith("_")}
    assert messages == {
        name: sorted(field.name for field in getattr(wire, name).DESCRIPTOR.fields) for name in OFFICIAL
    }


def fields(node: ast.ClassDef) -> list[str]:
    plain = [item.target.id for item in node.body if isinstance(item, ast.AnnAssign)]  # type: ignore[union-attr]
    properties = [
        item.name for item in node.body if isinstance(item, ast.FunctionDef) and item.decorator_list
    ]
    return sorted(plain + properties)
