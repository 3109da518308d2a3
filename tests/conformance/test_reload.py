"""Configurations that come and go, as `reloads.toml` lists them.

A foreign server needs GANNET_CONFORMANCE_RELOADS_TARGET, its address, and GANNET_CONFORMANCE_RELOADS_MODELS,
the directory of this suite's `reloads` as that server sees it.
"""

import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import text_format

from gannet_serving.servables import State
from tests.conformance.answers import request_class
from tests.serving.conftest import Stubs, open_stubs, serving

SEQUENCES = tomllib.loads((Path(__file__).parent / "reloads.toml").read_text("utf-8"))["sequence"]


class Server(NamedTuple):
    """The server under test, and its models' directory as it sees it."""

    stubs: Stubs
    models: str
    embedded: bool

    def reload(self, text: str) -> Any:
        request = request_class("HandleReloadConfigRequest")()
        text_format.Parse(text.replace("$models", self.models), request.config)
        return self.stubs.model.HandleReloadConfigRequest(request, timeout=60)

    def predict(self, spec: str) -> Any:
        request = request_class("Predict")()
        text_format.Parse(spec, request.model_spec)
        request.inputs["x"].dtype = 1
        request.inputs["x"].float_val.append(0.5)
        return self.stubs.prediction.Predict(request, timeout=30)

    def wait_for(self, name: str, states: dict[int, State]) -> None:
        """Waits until the versions stand so, beside those that ended in an earlier sequence."""
        request = request_class("GetModelStatus")()
        request.model_spec.name = name
        while True:
            entries = self.stubs.model.GetModelStatus(request, timeout=30).model_version_status
            seen = {entry.version: entry.state for entry in entries}
            surplus = {seen[number] for number in seen.keys() - states.keys()}
            if states.items() <= seen.items() and surplus <= (set() if self.embedded else {State.END}):
                return


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.conformance.models import write_reloads

    directory: Path = tmp_path_factory.mktemp("reloads")
    write_reloads(directory)
    return directory


@pytest.fixture
def begin(request: pytest.FixtureRequest) -> Iterator[Callable[[dict[str, Any]], Server]]:
    """Brings a server to where a sequence begins."""
    with ExitStack() as stack:

        def begin(sequence: dict[str, Any]) -> Server:
            foreign = os.environ.get("GANNET_CONFORMANCE_RELOADS_TARGET")
            if foreign:
                stubs = open_stubs(foreign)
                server = Server(stubs, os.environ["GANNET_CONFORMANCE_RELOADS_MODELS"], embedded=False)
                _bring_to(server, sequence["start"])
            elif os.environ.get("GANNET_CONFORMANCE_TARGET"):
                pytest.skip("GANNET_CONFORMANCE_RELOADS_TARGET names no address")
            else:
                directory = str(request.getfixturevalue("models"))
                stubs = open_stubs(stack.enter_context(_embedded(sequence, directory)))
                server = Server(stubs, directory, embedded=True)
            stack.callback(stubs.channel.close)
            return server

        yield begin


@pytest.mark.parametrize("sequence", SEQUENCES, ids=[sequence["name"] for sequence in SEQUENCES])
def test_sequence(sequence: dict[str, Any], begin: Callable[[dict[str, Any]], Server]) -> None:
    server = begin(sequence)
    for step in sequence["step"]:
        if step.get("better") and not server.embedded:
            continue
        if "status" in step:
            server.wait_for(step["status"], {int(n): State[state] for n, state in step["states"].items()})
            continue
        ask, text = (server.reload, step["reload"]) if "reload" in step else (server.predict, step["predict"])
        if "code" not in step:
            answer = ask(text)
            assert "version" not in step or answer.model_spec.version.value == step["version"]
            continue
        with pytest.raises(grpc.RpcError) as caught:
            ask(text)
        message = step["message"].replace("$models", server.models)
        assert (caught.value.code().name, caught.value.details()) == (step["code"], message)


def _embedded(sequence: dict[str, Any], models: str) -> Any:
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    from gannet_serving.config_proto import read_config
    from gannet_serving.sources import Fixed

    config = text_format.Parse(sequence["start"].replace("$models", models), ModelServerConfig())
    return serving(Fixed(read_config(config)), **sequence.get("options", {}))


def _bring_to(server: Server, start: str) -> None:
    """Labels come last: they need versions that are AVAILABLE."""
    config = request_class("HandleReloadConfigRequest")().config
    text_format.Parse(start, config)
    labelled = {model.name: dict(model.version_labels) for model in config.model_config_list.config}
    for model in config.model_config_list.config:
        model.version_labels.clear()
    server.reload(text_format.MessageToString(config))
    for name, labels in labelled.items():
        if labels:
            server.wait_for(name, dict.fromkeys(labels.values(), State.AVAILABLE))
    server.reload(start)
