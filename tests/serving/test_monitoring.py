"""Metrics as Prometheus reads them, and the access log."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from gannet_client.errors import UsageError
from gannet_serving import LocalServer, ServerOptions
from gannet_serving.access_log import log_access
from gannet_serving.calls import RestCall
from gannet_serving.monitoring.exposition import exposition
from gannet_serving.monitoring.instruments import Family, Gauge, Histogram
from gannet_serving.monitoring.metrics import read_metrics
from gannet_serving.monitoring.own import OwnMetrics

NOISE = {"noise": np.ones((3, 4), np.float32)}
PATH = "/monitoring/prometheus/metrics"
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def models(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models: Path = tmp_path_factory.mktemp("models")
    (models / "gen").mkdir()
    saved_models.write_gen(models / "gen" / "1")
    return models


def config(directory: Path, text: str = "prometheus_config { enable: true }") -> str:
    file = directory / "monitoring"
    file.write_text(text)
    return str(file)


@pytest.fixture
def server(models: Path, tmp_path: Path) -> Iterator[LocalServer]:
    options = ServerOptions(monitoring_config_file=config(tmp_path), access_log=True)
    with LocalServer(models, rest=True, options=options) as server:
        yield server


def get(server: LocalServer, path: str, method: str = "GET", body: str | None = None) -> tuple[int, str]:
    with closing(HTTPConnection(server.rest_url.split("/")[2], timeout=30)) as connection:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()


def parsed(page: str) -> Values:
    """The samples, without the types, by which the parser would rename the counters of TensorFlow Serving."""
    samples = "".join(f"{line}\n" for line in page.splitlines() if not line.startswith("#"))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(samples)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values.get((name, frozenset(labels.items())), 0)


def test_requests_are_counted_under_the_names_of_tensorflow_serving(
    server: LocalServer, connect: Callable[[str], Any], predict_request: Callable[..., Any]
) -> None:
    stubs = connect(server.target)
    for name, inputs in (("gen", NOISE), ("gen", NOISE), ("gen", {}), ("made up", NOISE), ("so too", NOISE)):
        try:
            stubs.prediction.Predict(predict_request(name, inputs), timeout=30)
        except grpc.RpcError:
            continue
    body = json.dumps({"instances": [[1, 2, 3, 4]]})
    assert get(server, "/v1/models/gen:predict", "POST", body)[0] == 200
    values = parsed(get(server, PATH)[1])
    counts = {
        key[1]: number for key, number in values.items() if key[0] == ":tensorflow:serving:request_count"
    }
    assert counts == {
        frozenset({("model_name", "gen"), ("status", "OK")}): 3,
        frozenset({("model_name", "gen"), ("status", "INVALID_ARGUMENT")}): 1,
        frozenset({("model_name", "(unknown)"), ("status", "NOT_FOUND")}): 2,
    }
    latency = {"model_name": "gen", "API": "Predict"}
    name = ":tensorflow:serving:request_latency"
    assert value(values, f"{name}_count", entrypoint="GRPC", **latency) == 2
    assert value(values, f"{name}_count", entrypoint="REST", **latency) == 1
    assert value(values, f"{name}_bucket", entrypoint="GRPC", le="+Inf", **latency) == 2
    bounds = {
        dict(labels)["le"]
        for metric, labels in values
        if metric == f"{name}_bucket" and ("entrypoint", "GRPC") in labels
    }
    assert {"10", "18", "32.4", "104.976", "+Inf"} < bounds
    assert len(bounds) == 34
    runtime = ":tensorflow:serving:runtime_latency_count"
    assert value(values, runtime, runtime="TF1", **latency) == 3
    kind = {"model": "gen", "version": "1", "signature": "serving_default"}
    assert value(values, "gannet_request_rows_sum", **kind) == 7
    assert value(values, "gannet_requests_total", method="Predict", entrypoint="REST", code="OK", **kind) == 1
    assert value(values, "gannet_requests_in_flight", entrypoint="GRPC") == 0
    assert value(values, "process_open_fds") > 0


def test_loads_are_counted(
    server: LocalServer, models: Path, connect: Callable[[str], Any], saved_models: Any
) -> None:
    loads = ":tensorflow:cc:saved_model:"
    values = parsed(get(server, PATH)[1])
    path = str(models / "gen" / "1")
    assert value(values, f"{loads}load_attempt_count", model_path=path, status="success") == 1
    assert value(values, f"{loads}load_latency", model_path=path) > 0
    broken = models / "gen" / "2"
    broken.mkdir()
    attempt = {"model_path": str(broken), "status": "fail"}
    while not value(parsed(get(server, PATH)[1]), f"{loads}load_attempt_count", **attempt):
        pass
    broken.rmdir()


def test_every_line_is_one_that_prometheus_reads(server: LocalServer) -> None:
    code, page = get(server, PATH)
    assert code == 200
    for line in page.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or float(line.rpartition(" ")[2]) >= 0
    assert "# TYPE :tensorflow:cc:saved_model:load_attempt_count counter\n" in page


def test_another_path(models: Path, tmp_path: Path) -> None:
    text = 'prometheus_config { enable: true path: "/metrics" }'
    options = ServerOptions(monitoring_config_file=config(tmp_path, text))
    with LocalServer(models, rest=True, options=options) as server:
        assert get(server, "/metrics")[0] == 200
        assert get(server, PATH)[0] == 404
        assert get(server, "/metrics", "POST")[0] == 404


@pytest.mark.parametrize("text", ["", "prometheus_config { }", 'prometheus_config { path: "/metrics" }'])
def test_nothing_is_counted_unless_that_is_asked_for(text: str, tmp_path: Path) -> None:
    assert read_metrics(config(tmp_path, text)) is None


def test_a_file_that_is_no_configuration_is_told(tmp_path: Path) -> None:
    file = config(tmp_path, "prometheus { }")
    complaint = "--monitoring_config_file: expected a MonitoringConfig in text form, received "
    with pytest.raises(UsageError, match=complaint):
        read_metrics(file)


def test_batches_are_counted(
    models: Path, tmp_path: Path, connect: Callable[[str], Any], predict_request: Callable[..., Any]
) -> None:
    parameters = tmp_path / "batching"
    parameters.write_text("max_batch_size { value: 8 } allowed_batch_sizes: [4, 8]")
    options = ServerOptions(
        monitoring_config_file=config(tmp_path),
        enable_batching=True,
        batching_parameters_file=str(parameters),
    )
    with LocalServer(models, rest=True, options=options) as server:
        connect(server.target).prediction.Predict(predict_request("gen", NOISE), timeout=30)
        values = parsed(get(server, PATH)[1])
    lane = {"model": "gen", "version": "1", "signature": "serving_default"}
    assert value(values, "gannet_batch_requests_sum", **lane) == 1
    assert value(values, "gannet_batch_rows_sum", **lane) == 3
    assert value(values, "gannet_batch_padding_rows_total", **lane) == 1
    assert values["gannet_batch_queue_length", frozenset(lane.items())] == 0
    assert value(values, ":tensorflow:serving:batching_session:wrapped_run_count") == 1
    waited = ":tensorflow:serving:batching_session:queuing_latency_count"
    assert value(values, waited, thread_pool_name="") == 1


def test_a_value_equal_to_a_bound_lies_at_it() -> None:
    registry = CollectorRegistry()
    family = Family(registry, "sizes", "Sizes.", "", lambda: Histogram([1, 2]))
    for size in (1, 2, 2.5):
        family.of().observe(size)
    values = parsed(exposition(registry))
    assert [value(values, "sizes_bucket", le=bound) for bound in ("1", "2", "+Inf")] == [1, 2, 3]


def test_labels_are_escaped() -> None:
    registry = CollectorRegistry()
    odd = 'a"b\\c\nd'
    Family(registry, "odd", "Odd.", "name", Gauge).of(odd).read = lambda: 0.5
    assert parsed(exposition(registry)) == {("odd", frozenset({("name", odd)})): 0.5}


def test_version_0_is_told_from_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gannet_serving.access_log")
    registry, call = CollectorRegistry(), RestCall(None, "127.0.0.1:1", 1)
    metrics = OwnMetrics(registry)
    for call.version in (None, 0):
        metrics.observe(call, grpc.StatusCode.INTERNAL)
        log_access(call, grpc.StatusCode.INTERNAL)
    labels = [dict(labels) for name, labels in parsed(exposition(registry)) if name.endswith("_total")]
    assert sorted(each["version"] for each in labels) == ["", "0"]
    assert ["version=0" in message for message in caplog.messages] == [False, True]


def test_the_access_log_tells_who_asked_for_what(
    server: LocalServer,
    connect: Callable[[str], Any],
    predict_request: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "gannet_serving.access_log")
    request = predict_request("gen", NOISE)
    connect(server.target).prediction.Predict(request, timeout=30, metadata=[("x-request-id", "abc")])
    assert get(server, "/v1/models/no")[0] == 404
    assert get(server, "/v1/models/gen")[0] == 200
    assert get(server, "/elsewhere")[0] == 404
    with pytest.raises(grpc.RpcError):
        connect(server.target).channel.unary_unary("/no.Service/Method")(b"", timeout=30)
    own, *others = [record for record in caplog.records if record.name == "gannet_serving.access_log"]
    fields = own.fields
    assert fields.pop("milliseconds") > 0
    assert fields.pop("peer").startswith("ipv4:127.0.0.1:")
    assert fields == {
        "request_id": "abc",
        "entrypoint": "GRPC",
        "method": "Predict",
        "model": "gen",
        "version": 1,
        "signature": "serving_default",
        "code": "OK",
    }
    assert "request_id=abc peer=ipv4:127.0.0.1:" in own.getMessage()
    assert [(other.fields["method"], other.fields["code"], other.fields["model"]) for other in others] == [
        ("GetModelStatus", "NOT_FOUND", ""),
        ("GetModelStatus", "OK", "gen"),
        ("", "NOT_FOUND", ""),
        ("", "UNIMPLEMENTED", ""),
    ]


def test_a_request_id_that_cannot_be_logged_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gannet_serving.access_log")
    log_access(RestCall("a\nb", "127.0.0.1:1", 1), grpc.StatusCode.OK)
    assert "a\nb" not in caplog.messages[0]
