"""What `gannet_client` offers, and what importing it costs."""

import ast
import json
import subprocess
import sys
from typing import Any

import pytest

import gannet_client

NAMES = [
    "AccessDenied",
    "AnswerTooLarge",
    "AsyncClient",
    "Client",
    "GannetError",
    "Generation",
    "MissingExtra",
    "ModelError",
    "ModelNotFound",
    "NO_RETRY",
    "RequestRejected",
    "RequestTimeout",
    "Retry",
    "ServerOverloaded",
    "ServerUnreachable",
    "Signature",
    "TensorSpec",
    "Tls",
    "TooManyRows",
    "UsageError",
    "VersionStatus",
    "__version__",
]


def modules_after(program: str, *arguments: str) -> set[str]:
    """The modules that a fresh interpreter has imported when `program` has run."""
    program += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_public_names() -> None:
    assert sorted(gannet_client.__all__) == NAMES
    assert set(NAMES) <= set(dir(gannet_client))
    for name in NAMES:
        assert getattr(gannet_client, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        gannet_client.Klient  # noqa: B018


def test_the_version_is_a_plain_literal() -> None:
    with open(gannet_client.__file__) as source:
        values = [
            node.value.value
            for node in ast.parse(source.read()).body
            if isinstance(node, ast.Assign)
            and getattr(node.targets[0], "id", "") == "__version__"
            and isinstance(node.value, ast.Constant)
        ]
    assert values == [gannet_client.__version__]


def test_the_contract_and_the_errors_cost_nothing() -> None:
    loaded = modules_after("from gannet_client import contract, ModelError")
    assert not loaded & {"grpc", "numpy", "google.protobuf", "click"}


def test_using_the_client_imports_neither_tensorflow_nor_anything_of_an_extra(target: str) -> None:
    program = """
import sys
from gannet_client import Client
with Client(sys.argv[1], model="digits") as client:
    client.wait_ready()
    images = client.generate(70, seed=1)
    assert images.grid().ndim == 3
    client.status(), client.metadata(), client.card()
    client.predict({"x": [[1.0, 2.0, 3.0]], "text": ["a"]}, signature="echo")
"""
    loaded = modules_after(program, target)
    heavy = ("tensorflow", "keras", "ml_dtypes", "click", "PIL", "rich", "matplotlib", "gannet_serving")
    assert not [name for name in loaded if name.startswith(heavy)]


def test_errors_tell_the_command_line_its_exit_code() -> None:
    codes: dict[Any, int] = {
        gannet_client.GannetError: 1,
        gannet_client.UsageError: 2,
        gannet_client.MissingExtra: 2,
        gannet_client.ServerUnreachable: 3,
        gannet_client.ModelError: 4,
        gannet_client.ModelNotFound: 4,
        gannet_client.ServerOverloaded: 1,
        gannet_client.RequestRejected: 1,
        gannet_client.RequestTimeout: 124,
    }
    for error, code in codes.items():
        assert issubclass(error, gannet_client.GannetError) and error.exit_code == code
