"""What stands beside the models' own services: health, reflection, and options of the answers."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from gannet_serving import LocalServer, ServerOptions

NOISE = {"noise": np.ones((2, 4), np.float32)}
OPTIONS = ServerOptions(
    enable_grpc_healthcheck_service=True,
    enable_serialization_as_tensor_content=True,
    enable_signature_method_name_check=True,
    grpc_max_threads=1,
)
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


@pytest.fixture(scope="module")
def models(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    (directory / "gen").mkdir()
    saved_models.write_gen(directory / "gen" / "1")
    (directory / "odd").mkdir()
    rename_method(saved_models.write_gen(directory / "odd" / "1") / "saved_model.pb")
    return directory


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[LocalServer]:
    with LocalServer(models, options=OPTIONS) as server:
        yield server


@pytest.fixture
def stubs(server: LocalServer, connect: Callable[[str], Any]) -> Any:
    return connect(server.target)


class TestHealth:
    @pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
    def test_serving(self, service: str, stubs: Any) -> None:
        request = health_pb2.HealthCheckRequest(service=service)
        assert health_pb2_grpc.HealthStub(stubs.channel).Check(request, timeout=30).status == SERVING

    def test_other_services_are_unknown(self, stubs: Any) -> None:
        request = health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService")
        with pytest.raises(grpc.RpcError) as caught:
            health_pb2_grpc.HealthStub(stubs.channel).Check(request, timeout=30)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    def test_each_model_has_a_health_of_its_own(
        self, models: Path, saved_models: Any, tmp_path: Path, connect: Callable[[str], Any]
    ) -> None:
        """A model whose versions go is NOT_SERVING, one that is not there yet is told when it comes."""
        (tmp_path / "gen").mkdir()
        shutil.copytree(models / "gen" / "1", tmp_path / "gen" / "1")
        with LocalServer(tmp_path, options=OPTIONS) as server:
            stub = health_pb2_grpc.HealthStub(connect(server.target).channel)
            gen = stub.Watch(health_pb2.HealthCheckRequest(service="gen"), timeout=60)
            later = stub.Watch(health_pb2.HealthCheckRequest(service="later"), timeout=60)
            assert (next(gen).status, next(later).status) == (SERVING, SERVICE_UNKNOWN)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Check(health_pb2.HealthCheckRequest(service="later"), timeout=30)
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            (tmp_path / "later").mkdir()
            saved_models.write_gen(tmp_path / "later" / "1")
            while next(later).status != SERVING:
                pass
            assert stub.Check(health_pb2.HealthCheckRequest(service="later"), timeout=30).status == SERVING
            shutil.rmtree(tmp_path / "gen" / "1")
            assert next(gen).status == NOT_SERVING
            assert stub.Check(health_pb2.HealthCheckRequest(service="gen"), timeout=30).status == NOT_SERVING
            assert stub.Check(health_pb2.HealthCheckRequest(), timeout=30).status == SERVING

    def test_not_serving_once_the_server_stops(self, models: Path, connect: Callable[[str], Any]) -> None:
        with LocalServer(models, options=OPTIONS) as server:
            watch = health_pb2_grpc.HealthStub(connect(server.target).channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=30
            )
            assert next(watch).status == SERVING
            server.close()
            assert [response.status for response in watch] == [NOT_SERVING]

    def test_is_not_offered_unless_asked_for(self, served: Any) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            health_pb2_grpc.HealthStub(served.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "")


class TestReflection:
    def test_lists_the_services(self, stubs: Any, served: Any) -> None:
        always = {
            "grpc.reflection.v1alpha.ServerReflection",
            "tensorflow.serving.ModelService",
            "tensorflow.serving.PredictionService",
        }
        assert set(ProtoReflectionDescriptorDatabase(served.channel).get_services()) == always
        services = ProtoReflectionDescriptorDatabase(stubs.channel).get_services()
        assert set(services) == {*always, "grpc.health.v1.Health"}

    def test_tells_the_messages(self, served: Any) -> None:
        from google.protobuf.descriptor_pool import DescriptorPool

        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(served.channel))
        service = pool.FindServiceByName("tensorflow.serving.PredictionService")
        predict = service.methods_by_name["Predict"]
        assert predict.input_type.full_name == "tensorflow.serving.PredictRequest"
        assert "tensor_content" in pool.FindMessageTypeByName("tensorflow.TensorProto").fields_by_name

    def test_answers_under_the_name_of_its_first_version_too(self, served: Any) -> None:
        call = served.channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        response = next(call(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=30))
        assert len(response.list_services_response.service) == 3

    def test_an_open_stream_holds_up_no_request(
        self, stubs: Any, predict_request: Callable[..., Any]
    ) -> None:
        """The server has a single thread for requests."""
        stub = reflection_pb2_grpc.ServerReflectionStub(stubs.channel)
        requests = WaitingRequests()
        stream = stub.ServerReflectionInfo(requests, timeout=60)
        assert next(stream).list_services_response.service
        assert stubs.prediction.Predict(predict_request("gen", NOISE), timeout=30)
        stream.cancel()


def test_tensors_as_content(
    stubs: Any, served: Any, predict_request: Callable[..., Any], saved_models: Any
) -> None:
    request = predict_request("gen", NOISE)
    images = stubs.prediction.Predict(request, timeout=30).outputs["images"]
    assert not images.float_val
    listed = served.prediction.Predict(request, timeout=30).outputs["images"]
    assert images.tensor_content == np.array(listed.float_val, "<f4").tobytes()


def test_an_odd_method_is_refused_where_that_is_asked_for(
    stubs: Any, predict_request: Callable[..., Any], details_of: Callable[..., str]
) -> None:
    assert details_of(stubs.prediction.Predict, predict_request("odd", NOISE)) == (
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: odd"
    )


@pytest.mark.parametrize(("method", "kind"), [("Classify", "classification"), ("Regress", "regression")])
def test_a_method_of_another_kind_is_refused_where_that_is_asked_for(
    method: str, kind: str, stubs: Any, details_of: Callable[..., str]
) -> None:
    from tensorflow_serving.apis.classification_pb2 import ClassificationRequest

    request = ClassificationRequest()
    request.model_spec.name = "gen"
    assert details_of(getattr(stubs.prediction, method), request) == (
        f"Expected {kind} signature method_name to be tensorflow/serving/{method.lower()}. "
        "Was: tensorflow/serving/predict"
    )


class WaitingRequests:
    """One request, and then none for as long as the stream is open."""

    def __init__(self) -> None:
        from threading import Event

        self._requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
        self._never = Event()

    def __iter__(self) -> "WaitingRequests":
        return self

    def __next__(self) -> Any:
        if self._requests:
            return self._requests.pop()
        self._never.wait(20)
        raise StopIteration


def rename_method(file: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved_model = SavedModel.FromString(file.read_bytes())
    saved_model.meta_graphs[0].signature_def["serving_default"].method_name = "odd"
    file.write_bytes(saved_model.SerializeToString())
