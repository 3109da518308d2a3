"""What a good answer carries: fields of the response, values, encodings, defaults."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gannet_client.codec import decode, encode

ZOO = {
    "count": np.array([-1, 0, 258]),
    "half": np.array([0.5, 1, 2], np.float32),
    "name": np.array([b"", b"a", "é".encode()], object),
}


@pytest.fixture
def zoo_request(predict_request: Callable[..., Any]) -> Any:
    import tensorflow as tf

    request = predict_request("zoo", ZOO)
    request.inputs["half"].CopyFrom(tf.make_tensor_proto(ZOO["half"], tf.bfloat16))
    return request


def test_values(served: Any, saved_models: Any, predict_request: Callable[..., Any]) -> None:
    noise = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    response = served.prediction.Predict(predict_request("gen", {"noise": noise}), timeout=30)
    images = decode(response.outputs["images"])
    np.testing.assert_allclose(images, saved_models.images(noise), rtol=1e-5)


def test_model_spec_tells_what_was_used(served: Any, zoo_request: Any) -> None:
    spec = served.prediction.Predict(zoo_request, timeout=30).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("zoo", 7, "serving_default")
    assert spec.WhichOneof("version_choice") == "version"


def test_every_dtype_comes_back_in_its_typed_list(served: Any, zoo_request: Any) -> None:
    outputs = served.prediction.Predict(zoo_request, timeout=30).outputs
    assert not any(proto.tensor_content for proto in outputs.values())
    assert list(outputs["count"].int64_val) == [0, 1, 259]
    assert list(outputs["half"].half_val) == [0x3F80, 0x4000, 0x4080]
    assert list(outputs["name"].string_val) == [b"\0!", b"a\0!", "é\0!".encode()]
    assert list(outputs["rows"].int_val) == [3]
    assert list(outputs["rows"].tensor_shape.dim) == []
    assert list(outputs["small"].int_val) == [255, 0, 2]
    assert list(outputs["wide"].double_val) == [-0.5, 0, 129]
    assert list(outputs["yes"].bool_val) == [False, False, True]


def test_both_request_encodings_are_read(served: Any, zoo_request: Any) -> None:
    import tensorflow as tf

    listed = served.prediction.Predict(zoo_request, timeout=30)
    zoo_request.inputs["count"].CopyFrom(tf.make_tensor_proto(ZOO["count"]))
    assert zoo_request.inputs["count"].tensor_content
    assert served.prediction.Predict(zoo_request, timeout=30) == listed


def test_an_output_filter_selects(served: Any, zoo_request: Any) -> None:
    zoo_request.output_filter.extend(["wide", "rows"])
    assert set(served.prediction.Predict(zoo_request, timeout=30).outputs) == {"wide", "rows"}


def test_metadata_is_the_signature_map_of_the_saved_model(served: Any) -> None:
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap

    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "gen"
    response = served.prediction.GetModelMetadata(request, timeout=30)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("gen", 1, "")
    packed = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = SignatureDefMap.FromString(packed.value).signature_def
    assert set(signatures) == {"__saved_model_init_op", "generate", "serving_default"}
    noise = signatures["generate"].inputs["noise"]
    assert (noise.dtype, [dim.size for dim in noise.tensor_shape.dim]) == (1, [-1, 4])
    assert signatures["generate"].method_name == "tensorflow/serving/predict"


class TestDefaultInputs:
    """A SignatureDef may carry values for inputs that the request leaves out."""

    @pytest.fixture
    def stubs(self, saved_models: Any, serve: Callable[[Path], Any], tmp_path: Path) -> Any:
        (tmp_path / "zoo").mkdir()
        version = saved_models.write_zoo(tmp_path / "zoo" / "1")
        _add_default(version / "saved_model.pb", "count", np.array([7]))
        return serve(tmp_path)

    def test_fill_in_and_give_way(self, stubs: Any, zoo_request: Any) -> None:
        zoo_request.output_filter.append("count")
        assert list(stubs.prediction.Predict(zoo_request, timeout=30).outputs["count"].int64_val) == [
            0,
            1,
            259,
        ]
        del zoo_request.inputs["count"]
        assert list(stubs.prediction.Predict(zoo_request, timeout=30).outputs["count"].int64_val) == [8]

    def test_do_not_excuse_other_inputs(
        self, stubs: Any, zoo_request: Any, details_of: Callable[..., str]
    ) -> None:
        del zoo_request.inputs["half"]
        assert details_of(stubs.prediction.Predict, zoo_request) == (
            "Signature input alias: half(feed name: serving_default_half:0) not found in request and no "
            "default value provided. Inputs expected to be in the request {count,name}, "
            "or default input alias set: count"
        )

    def test_do_not_excuse_invalid_names(
        self, stubs: Any, zoo_request: Any, details_of: Callable[..., str]
    ) -> None:
        zoo_request.inputs["nope"].CopyFrom(zoo_request.inputs["count"])
        del zoo_request.inputs["count"]
        assert details_of(stubs.prediction.Predict, zoo_request) == (
            "Inputs contains invalid name. Used request inputs: half,name, request input: half,name,nope"
        )


def _add_default(file: Path, alias: str, value: np.ndarray) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved_model = SavedModel.FromString(file.read_bytes())
    encode(value, saved_model.meta_graphs[0].signature_def["serving_default"].defaults[alias])
    file.write_bytes(saved_model.SerializeToString())
