"""Predict where a signature or a server is out of the ordinary; the rest stands in `tests/conformance`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gannet_client.codec import encode

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


def test_an_output_that_cannot_travel(
    saved_models: Any,
    serve: Callable[[Path], Any],
    tmp_path: Path,
    predict_request: Callable[..., Any],
    details_of: Callable[..., str],
) -> None:
    (tmp_path / "tiny").mkdir()
    saved_models.write_tiny_floats(tmp_path / "tiny" / "1")
    request = predict_request("tiny", {"noise": np.ones((2, 4), np.float32)})
    refusal = details_of(serve(tmp_path).prediction.Predict, request)
    assert refusal == "Output images is of dtype float8_e5m2, which this server cannot send."


def _add_default(file: Path, alias: str, value: np.ndarray) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved_model = SavedModel.FromString(file.read_bytes())
    encode(value, saved_model.meta_graphs[0].signature_def["serving_default"].defaults[alias])
    file.write_bytes(saved_model.SerializeToString())
