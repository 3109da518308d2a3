"""What a caller is told when a call fails: the class, the line, and what the error carries."""

from typing import Any

import grpc
import numpy as np
import pytest

from gannet_client import (
    NO_RETRY,
    AccessDenied,
    AnswerTooLarge,
    Client,
    GannetError,
    ModelError,
    ModelNotFound,
    RequestRejected,
    RequestTimeout,
    ServerOverloaded,
    ServerUnreachable,
    UsageError,
)


@pytest.fixture
def client(target: str) -> Any:
    with Client(target, model="digits") as client:
        yield client


def assert_clear(error: BaseException, *parts: str) -> None:
    assert "\n" not in str(error)
    for part in parts:
        assert part in str(error)


def test_nothing_listens(free_port: int) -> None:
    target = f"127.0.0.1:{free_port}"
    with Client(target, model="digits") as client, pytest.raises(ServerUnreachable) as caught:
        client.generate(1)
    assert_clear(caught.value, "model 'digits'", target, "no server answers")
    assert caught.value.exit_code == 3
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"version": 9}, ["Specific(digits, 9)", "no such model or version"]),
        ({"version_label": "canary"}, ["no such version label", "canary"]),
    ],
)
def test_an_unknown_version(client: Client, target: str, options: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ModelError) as caught:
        client.generate(1, **options)
    assert_clear(caught.value, "model 'digits'", target, *parts)
    assert caught.value.exit_code == 4


def test_an_unknown_model(target: str) -> None:
    with Client(target, model="nope") as client:
        for call in (lambda: client.generate(1), client.metadata, client.status, client.card):
            with pytest.raises(ModelError, match=r"model 'nope'.*no such model or version"):
                call()


def test_an_unknown_signature(client: Client) -> None:
    with pytest.raises(ModelError, match=r"has no signature 'nosig'; it has echo, other, seeded_pixels"):
        client.predict({}, signature="nosig")


def test_no_answer_in_time(client: Client, fake: Any, target: str) -> None:
    fake.release.clear()
    with pytest.raises(RequestTimeout) as caught:
        client.generate(1, timeout=0.2)
    assert_clear(caught.value, "model 'digits'", target, "no complete answer in time")
    assert caught.value.exit_code == 124
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize(
    ("code", "text", "error", "advice"),
    [
        ("UNAVAILABLE", "The batch scheduling queue to which ... is full", ServerOverloaded, "overloaded"),
        ("UNAVAILABLE", "Model labels does not init yet.stable", ModelNotFound, "no such model or version"),
        ("UNAVAILABLE", "Socket closed", ServerUnreachable, "no server answers"),
        ("RESOURCE_EXHAUSTED", "Server Threadpool Exhausted", ServerOverloaded, "overloaded"),
        ("UNAUTHENTICATED", "no token", AccessDenied, "check the token"),
        ("PERMISSION_DENIED", "not you", AccessDenied, "check the token"),
        ("INVALID_ARGUMENT", "Matrix size-incompatible:\n\t [[{{node X}}]]", RequestRejected, "refused"),
        ("INTERNAL", "x" * 5000, RequestRejected, "refused or failed"),
        ("FAILED_PRECONDITION", "something else", RequestRejected, "refused or failed"),
    ],
)
def test_the_servers_refusals(
    client: Client, fake: Any, target: str, code: str, text: str, error: type[GannetError], advice: str
) -> None:
    fake.fail_with = (grpc.StatusCode[code], text)
    with pytest.raises(error) as caught:
        client.with_options(retry=NO_RETRY).generate(1)
    assert type(caught.value) is error
    assert (caught.value.model, caught.value.endpoint, caught.value.attempts) == ("digits", target, 1)
    assert caught.value.advice in str(caught.value)
    assert_clear(caught.value, "model 'digits'", target, advice, code)
    assert len(str(caught.value)) < 700


def test_a_server_of_another_kind(start: Any) -> None:
    target = f"127.0.0.1:{start(None).port}"
    with Client(target, model="digits") as client, pytest.raises(RequestRejected, match="gRPC port"):
        client.generate(1)


def test_an_answer_larger_than_allowed(target: str, fake: Any, drawn: Any) -> None:
    with Client(target, model="digits", max_message_bytes=1000) as client:
        assert np.array_equal(client.generate(64, seed=0).array, drawn(range(64), 1))  # in pieces of five
        fake.pixels = lambda seeds, _: np.zeros((len(seeds), 64, 64, 3), np.uint8)
        with pytest.raises(AnswerTooLarge, match="raise max_message_bytes"):
            client.generate(1)


def test_an_answer_that_would_expand_beyond_the_limit(client: Client, fake: Any, as_listed: Any) -> None:
    def bomb(array: np.ndarray) -> Any:
        proto = as_listed(array)
        proto.tensor_shape.dim[1].size = 1 << 40
        return proto

    fake.encode = bomb
    with pytest.raises(RequestRejected, match=r"cannot be read: output 'pixels'.*expand"):
        client.generate(1)


@pytest.mark.parametrize(
    "pixels",
    [
        lambda seeds, _: np.zeros((len(seeds), 4, 4, 1), np.float32),
        lambda seeds, _: np.zeros((len(seeds), 4, 4), np.uint8),
        lambda seeds, _: np.zeros((len(seeds) + 1, 4, 4, 1), np.uint8),
    ],
)
def test_a_model_that_draws_something_else(client: Client, fake: Any, pixels: Any) -> None:
    fake.pixels = pixels
    with pytest.raises(ModelError) as caught:
        client.generate(2)
    assert_clear(caught.value, "model 'digits' version 1", "uint8 [2, 6, 5, 3]", "received")


@pytest.mark.parametrize(
    "changes",
    [
        {"latent_dim": 10**12},
        {"latent_dim": "wide"},
        {"image_shape": [4, 4]},
        {"image_shape": [4, 4, 10**9]},
        {"image_shape": None},
        {"conditions": ["labels"], "classes": None},
        {"conditions": ["codes"], "codes": 10**9},
        {"conditions": 7},
    ],
)
def test_a_card_that_makes_no_sense(client: Client, fake: Any, changes: dict[str, Any]) -> None:
    fake.card.update(changes)
    with pytest.raises(ModelError, match="model 'digits' version 1: the model card cannot be used") as caught:
        client.generate(1)
    assert_clear(caught.value)


def of_format_2(fake: Any) -> None:
    fake.card["format"] = 2


def without_sides(fake: Any) -> None:
    del fake.card["image_shape"]


def of_a_later_release(fake: Any) -> None:
    fake.card["conditions"] = ["mood"]


def of_other_pixels(fake: Any) -> None:
    fake.pixels = lambda seeds, _: np.zeros((len(seeds), 2, 2, 1), np.uint8)


def loading(fake: Any) -> None:
    fake.states = {1: 20}


def of_version_0(fake: Any) -> None:
    fake.states = {0: 30}


def silent(fake: Any) -> None:
    fake.release.clear()


ONE = {"x": [[1.0, 2.0, 3.0]]}


@pytest.mark.parametrize(
    ("spoil", "call", "kind", "version", "attempts", "advice"),
    [
        (of_format_2, lambda c: c.card(), ModelError, 1, 1, "install the release of gannet-toolkit"),
        (of_format_2, lambda c: c.generate(1), ModelError, 1, 1, "install the release of gannet-toolkit"),
        (of_a_later_release, lambda c: c.generate(1), ModelError, 1, 1, "install the release"),
        (without_sides, lambda c: c.generate(1), ModelError, 1, 1, "export the model again"),
        (of_other_pixels, lambda c: c.generate(1), ModelError, 1, 1, "export the model again"),
        (loading, lambda c: c.wait_ready(0.5), RequestTimeout, None, None, "look at the server's log"),
        (None, lambda c: c.predict(ONE, signature="nope"), ModelError, 1, 0, "call one that it has"),
        (None, lambda c: c.predict(ONE, signature="echo"), UsageError, 1, 0, "pass what the message says"),
        (None, lambda c: c.generate(noise=[[1.0]]), UsageError, 1, 0, "pass what the message says"),
        (None, lambda c: c.generate(1, classes=3), UsageError, 1, 0, "pass what the message says"),
        (of_version_0, lambda c: c.generate(1, classes=3), UsageError, 0, 0, "pass what the message says"),
        (None, lambda c: c.generate(1, version=9), ModelNotFound, 9, 1, "check the name, the version"),
        (silent, lambda c: c.status(timeout=0.2), RequestTimeout, None, 1, "allow a longer timeout"),
    ],
)
def test_every_error_tells_what_it_is_about(
    client: Client,
    fake: Any,
    target: str,
    spoil: Any,
    call: Any,
    kind: type[GannetError],
    version: int | None,
    attempts: int | None,
    advice: str,
) -> None:
    if spoil is not None:
        spoil(fake)
    with pytest.raises(kind) as caught:
        call(client)
    error = caught.value
    assert (error.model, error.version, advice in error.advice) == ("digits", version, True)
    assert error.endpoint == (target if attempts != 0 else None)
    if attempts is not None:
        assert error.attempts == attempts
    else:
        assert error.attempts >= len(fake.requests)


@pytest.mark.parametrize("call", [lambda c: c.generate(1), lambda c: c.generate(1, version=1)])
def test_so_does_that_of_a_foreign_model(real_target: str, call: Any) -> None:
    with Client(real_target, model="classifier") as client, pytest.raises(ModelError) as caught:
        call(client)
    error = caught.value
    assert (error.model, error.version, error.endpoint) == ("classifier", 1, real_target)
    assert error.attempts == 1 and error.advice.startswith("call it with Client.predict")
