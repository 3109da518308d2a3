"""What a good answer carries: values, fields, encodings."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from gannet_client.codec import decode
from tests.conformance import models
from tests.conformance.answers import Target

THREE = "tensor_shape { dim { size: 3 } }"
ZOO = rf"""
model_spec {{ name: "zoo" }}
inputs {{ key: "count" value {{ dtype: DT_INT64 {THREE} int64_val: [-1, 0, 258] }} }}
inputs {{ key: "half" value {{ dtype: DT_BFLOAT16 {THREE} half_val: [0x3f00, 0x3f80, 0x4000] }} }}
inputs {{ key: "name" value {{ dtype: DT_STRING {THREE} string_val: ["", "a", "\303\251"] }} }}
"""


def test_images(target: Target) -> None:
    noise = np.random.default_rng(0).normal(size=(5, models.WIDTH)).astype(np.float32)
    request = PredictRequest()
    request.model_spec.name = "gen"
    request.inputs["noise"].CopyFrom(tf.make_tensor_proto(noise))
    images = decode(target.prediction.Predict(request, timeout=30).outputs["images"])
    np.testing.assert_allclose(images, models.generate(noise), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "signature"), [("", "serving_default"), ('signature_name: "generate"', "generate")]
)
@pytest.mark.parametrize("version", ["", "version { value: 1 }"])
def test_model_spec_tells_what_was_used(
    given: str, signature: str, version: str, call: Callable[..., Any]
) -> None:
    shape = f"tensor_shape {{ dim {{ }} dim {{ size: {models.WIDTH} }} }}"
    noise = f'inputs {{ key: "noise" value {{ dtype: DT_FLOAT {shape} }} }}'
    spec = call("Predict", f'model_spec {{ name: "gen" {given} {version} }} {noise}').model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("gen", 1, signature)
    assert spec.WhichOneof("version_choice") == "version"


def test_every_output_comes_in_the_list_of_its_dtype(call: Callable[..., Any]) -> None:
    outputs = call("Predict", ZOO).outputs
    assert set(outputs) == {"count", "half", "name", "rows", "small", "wide", "yes"}
    assert not any(proto.tensor_content for proto in outputs.values())
    assert list(outputs["count"].int64_val) == [0, 1, 259]
    assert list(outputs["half"].half_val) == [0x3F80, 0x4000, 0x4080]
    assert list(outputs["name"].string_val) == [b"\0!", b"a\0!", "é\0!".encode()]
    assert list(outputs["rows"].int_val) == [3]
    assert list(outputs["rows"].tensor_shape.dim) == []
    assert list(outputs["small"].int_val) == [255, 0, 2]
    assert list(outputs["wide"].double_val) == [-0.5, 0, 129]
    assert list(outputs["yes"].bool_val) == [False, False, True]


def test_an_output_filter_selects(call: Callable[..., Any]) -> None:
    assert set(call("Predict", f'{ZOO} output_filter: ["wide", "rows"]').outputs) == {"wide", "rows"}


class TestEveryDtype:
    @pytest.fixture(params=models.DTYPES)
    def array(self, request: pytest.FixtureRequest) -> np.ndarray:
        if request.param == "string":
            return np.array([[b"", b"a", b"\xff\0"], [b"b", b"c", b"d"]], object)
        numbers = np.array([[0, 1, 2], [3, 4, 5]]).astype(tf.as_dtype(request.param).as_numpy_dtype)
        return numbers * (1 + 2j) if numbers.dtype.kind == "c" else numbers

    def test_is_read_from_bytes_and_lists(self, array: np.ndarray, target: Target) -> None:
        for proto in (tf.make_tensor_proto(array), self.listed(array)):
            answered = self.predict(target, array, proto)
            assert not answered.tensor_content
            assert answered.dtype == proto.dtype
            np.testing.assert_array_equal(tf.make_ndarray(answered), array, strict=True)

    def test_repeats_the_last_value_of_a_short_list(self, array: np.ndarray, target: Target) -> None:
        proto = self.listed(array[:1, 1:2])
        for dim, size in zip(proto.tensor_shape.dim, array.shape, strict=True):
            dim.size = size
        answered = tf.make_ndarray(self.predict(target, array, proto))
        np.testing.assert_array_equal(answered, np.full_like(array, array[0, 1]), strict=True)

    @staticmethod
    def listed(array: np.ndarray) -> Any:
        """A tensor in the list of its dtype: what TensorFlow makes of one number at a time."""
        proto = tf.make_tensor_proto(array)
        proto.ClearField("tensor_content")
        for value in array.ravel() if not proto.string_val else ():
            proto.MergeFrom(tf.make_tensor_proto(value, array.dtype))
        del proto.tensor_shape.dim[:]
        proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
        return proto

    @staticmethod
    def predict(target: Target, array: np.ndarray, proto: Any) -> Any:
        request = PredictRequest()
        request.model_spec.name = "dtypes"
        request.model_spec.signature_name = tf.as_dtype(array.dtype).name
        request.inputs["value"].CopyFrom(proto)
        return target.prediction.Predict(request, timeout=30).outputs["value"]


def test_metadata_is_the_signature_map_of_the_saved_model(call: Callable[..., Any]) -> None:
    response = call("GetModelMetadata", 'model_spec { name: "gen" } metadata_field: "signature_def"')
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("gen", 1, "")
    packed = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = SignatureDefMap.FromString(packed.value).signature_def
    assert set(signatures) == {"__saved_model_init_op", "generate", "serving_default"}
    noise = signatures["generate"].inputs["noise"]
    assert (noise.dtype, [dim.size for dim in noise.tensor_shape.dim]) == (1, [-1, models.WIDTH])
    assert signatures["generate"].method_name == "tensorflow/serving/predict"
