"""The client against a server that speaks through the official stubs."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gannet_client import (
    Client,
    ModelError,
    RequestRejected,
    Signature,
    TensorSpec,
    UsageError,
)

AVAILABLE, LOADING, END = 30, 20, 50
int64s = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture
def client(target: str) -> Any:
    with Client(target, model="digits") as client:
        yield client


def seeds_asked(fake: Any) -> list[int]:
    """How many seeds each request for images held."""
    drawing = [request for request in fake.requests if request.model_spec.signature_name == "seeded_pixels"]
    return [request.inputs["seeds"].tensor_shape.dim[0].size for request in drawing]


@pytest.mark.parametrize("encoding", ["content", "listed"])
def test_images_come_in_the_order_of_their_seeds(
    client: Client, fake: Any, drawn: Any, as_listed: Any, encoding: str
) -> None:
    if encoding == "listed":
        fake.encode = as_listed
    images = client.generate(130, seed=7)
    assert images.seeds.tolist() == list(range(7, 137))
    assert images.array.dtype == np.uint8 and images.array.flags.writeable
    assert np.array_equal(images.array, drawn(range(7, 137), 1))
    assert (images.model, images.version, len(images)) == ("digits", 1, 130)
    assert sorted(seeds_asked(fake)) == [2, 64, 64]


@given(seeds=st.lists(int64s, max_size=150))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_seeds_may_be_listed(client: Client, drawn: Any, seeds: list[int]) -> None:
    for given_as in (seeds, np.array(seeds, np.int64)):
        images = client.generate(seeds=given_as)
        assert images.seeds.tolist() == seeds
        assert np.array_equal(images.array, drawn(seeds, 1))


def test_no_image_at_all_still_tells_the_shape_and_never_sends_zero_rows(client: Client, fake: Any) -> None:
    for images in (client.generate(0), client.generate(seeds=[])):
        assert images.array.shape == (0, 6, 5, 3)
        assert images.array.dtype == np.uint8 and images.seeds.dtype == np.int64 and images.version == 1
    assert seeds_asked(fake) == [1, 1]


def test_without_a_seed_the_seeds_are_random_and_reported(client: Client) -> None:
    first, second = client.generate(3), client.generate(3)
    assert first.seeds.tolist() != second.seeds.tolist()
    assert np.diff(first.seeds).tolist() == [1, 1]
    assert np.array_equal(client.generate(seeds=first.seeds).array, first.array)


def test_the_highest_version_answers_unless_another_is_asked_for(
    client: Client, fake: Any, drawn: Any
) -> None:
    fake.states = {1: AVAILABLE, 2: AVAILABLE, 3: LOADING}
    for options, version in (({}, 2), ({"version": 1}, 1), ({"version_label": "stable"}, 1)):
        images = client.generate(1, seed=0, **options)
        assert images.version == version
        assert np.array_equal(images.array, drawn([0], version))


def test_a_new_version_in_the_middle_does_not_mix_in(client: Client, fake: Any, drawn: Any) -> None:
    def publish_then_draw(seeds: Any, version: int) -> np.ndarray:
        fake.states[2] = AVAILABLE
        return drawn(seeds, version)

    fake.pixels = publish_then_draw
    images = client.generate(200, seed=0)
    assert images.version == 1
    assert np.array_equal(images.array, drawn(range(200), 1))
    assert client.generate(1).version == 2


def test_one_deadline_covers_all_requests(client: Client, fake: Any, drawn: Any) -> None:
    def draw_slowly(seeds: Any, version: int) -> np.ndarray:
        time.sleep(0.2)
        return drawn(seeds, version)

    fake.pixels = draw_slowly
    client.with_options(parallel=1).generate(130, seed=0, timeout=8)
    assert len(fake.remaining) == 4  # of the card and three pieces
    assert max(fake.remaining) <= 8.1  # gRPC rounds
    assert fake.remaining[3] < 7.7  # what the first two pieces took is gone


def test_answers_above_the_default_limit_of_grpc_are_read(client: Client, fake: Any) -> None:
    fake.card["image_shape"] = [1024, 1024, 1]
    fake.pixels = lambda seeds, _: np.zeros((len(seeds), 1024, 1024, 1), np.uint8)
    assert client.generate(8, seed=0).array.nbytes == 8 << 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "how many"),
        ({"n": -1}, "n must be an integer from 0 to"),
        ({"n": 10**13}, "at most 100000 images; received 10000000000000"),
        ({"seeds": np.zeros(100_001, np.int64)}, "at most 100000 images; received 100001"),
        ({"n": 1, "version_label": "\udcff"}, "version_label must be text"),
        ({"n": 1.5}, "n must be an integer; received 1.5"),
        ({"n": "3"}, "n must be an integer"),
        ({"n": 1, "seed": 0.5}, "seed must be an integer; received 0.5"),
        ({"n": 1, "seed": 2**63}, "seed must be an integer from"),
        ({"n": 2, "seed": 2**63 - 1}, "the last seed must be an integer from"),
        ({"seed": 1}, "how many"),
        ({"n": 2, "seeds": [1, 2]}, "not both"),
        ({"seed": 1, "seeds": [1, 2]}, "not both"),
        ({"seeds": [0.5]}, "flat sequence of integers"),
        ({"seeds": [2**63]}, "flat sequence of integers"),
        ({"seeds": [-1, 2**63]}, "flat sequence of integers"),
        ({"seeds": [2**80]}, "flat sequence of integers"),
        ({"seeds": [[1], [2]]}, "flat sequence of integers"),
        ({"seeds": [[1], [2, 3]]}, "flat sequence of integers"),
        ({"seeds": [True]}, "flat sequence of integers"),
        ({"seeds": "0-3"}, "flat sequence of integers"),
        ({"n": 1, "version": 1, "version_label": "stable"}, "not both"),
        ({"n": 1, "version": 2**63}, "version must be an integer from"),
        ({"n": 1, "timeout": 0}, "timeout must be a positive number"),
        ({"n": 1, "timeout": float("nan")}, "timeout must be a positive number"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    client: Client, fake: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        client.generate(**arguments)
    assert fake.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": ""},
        {"model": None},
        {"model": "digits", "target": "localhost"},
        {"model": "digits", "target": None},
        {"model": "\udcff"},
        *(
            {"model": "digits", "target": target}
            for target in (
                "127.0.0.1:99999",
                "127.0.0.1:0",
                "dns:///127.0.0.1:99999",
                ":8500",
                "http://localhost:8500",
                "local host:8500",
                "localhost:8500\n",
                "::1:8500",
                "\udcff:8500",
            )
        ),
        {"model": "digits", "timeout": -1},
        {"model": "digits", "target": []},
        {"model": "digits", "target": ["localhost:8500", "localhost"]},
        {"model": "digits", "chunk_rows": 0},
        {"model": "digits", "parallel": 65},
        {"model": "digits", "value_range": (1, 0)},
        {"model": "digits", "value_range": (0, "a")},
        {"model": "digits", "value_range": 1},
        {"model": "digits", "routing": "routing.json"},
        {},
        {"model": "digits", "max_message_bytes": 0},
        {"model": "digits", "max_message_bytes": 1 << 31},
    ],
)
def test_a_client_refuses_bad_settings(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="received"):
        Client(**arguments)


def test_addresses_that_grpc_knows_lead_to_the_server(target: str) -> None:
    port = target.rpartition(":")[2]
    for address in (f"localhost:{port}", f"dns:///localhost:{port}", f"ipv4:{target}"):
        with Client(address, model="digits") as client:
            assert client.wait_ready() == 1


def test_a_proxy_does_not_stand_before_loopback(target: str, free_port: int, monkeypatch: Any) -> None:
    for name in ("no_proxy", "no_grpc_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    with Client(target, model="digits") as client:
        assert len(client.generate(1)) == 1


def test_predict_runs_any_signature(client: Client, fake: Any) -> None:
    inputs = {"x": np.eye(3, dtype=np.float32), "text": np.array([b"a\0", b"\xff"], object)}
    outputs = client.predict(inputs, signature="echo", version=1)
    assert sorted(outputs) == ["text", "x"]
    assert np.array_equal(outputs["x"], inputs["x"]) and outputs["x"].dtype == np.float32
    assert outputs["text"].tolist() == [b"a\0", b"\xff"]
    assert fake.requests[-1].model_spec.version.value == 1


def test_a_refusal_makes_predict_read_the_signatures_again(client: Client, fake: Any) -> None:
    def times_read() -> int:
        return sum(type(request).__name__ == "GetModelMetadataRequest" for request in fake.requests)

    def predict() -> None:
        client.predict({"x": [[1.0, 2.0, 3.0]], "text": ["a"]}, signature="echo")

    predict()
    for code, text, error, read in (
        (grpc.StatusCode.INVALID_ARGUMENT, "input size does not match", RequestRejected, 2),
        (grpc.StatusCode.FAILED_PRECONDITION, "Serving signature", ModelError, 3),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "full", None, 3),
    ):
        fake.failures.append((code, text, None))
        with pytest.raises(error) if error else nullcontext():
            predict()
        predict()
        assert times_read() == read


def test_metadata_tells_dtypes_and_shapes(client: Client) -> None:
    assert client.metadata() == {
        "seeded_pixels": Signature(
            inputs={"seeds": TensorSpec("int64", (None,))},
            outputs={"pixels": TensorSpec("uint8", (None, 6, 5, 3))},
        ),
        "echo": Signature(
            inputs={"text": TensorSpec("bytes", None), "x": TensorSpec("float32", (None, 3))}, outputs={}
        ),
        "other": Signature(inputs={}, outputs={"text": TensorSpec("bytes", None)}),
    }


def test_the_card_is_read(client: Client, fake: Any) -> None:
    assert client.card() == fake.card
    assert fake.requests[0].inputs["rows"].tensor_shape.dim[0].size == 1


@pytest.mark.parametrize(
    ("card", "message"), [({"format": 2}, "format 2; this release reads 1"), ([], "'list'")]
)
def test_a_card_of_another_format_is_refused(client: Client, fake: Any, card: Any, message: str) -> None:
    fake.card = card
    with pytest.raises(ModelError, match=message):
        client.card()


def test_closing_twice_is_fine_and_using_it_afterwards_is_not(target: str) -> None:
    client = Client(target, model="digits")
    client.generate(1)
    client.close()
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.generate(1)


def test_threads_may_share_a_client(client: Client, drawn: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda seed: client.generate(70, seed=seed), range(24)))
    for seed, images in enumerate(results):
        assert np.array_equal(images.array, drawn(range(seed, seed + 70), 1))


def test_it_introduces_itself(client: Client, fake: Any) -> None:
    client.generate(1)
    assert fake.metadata[0]["user-agent"].startswith("gannet-client/0.1.0 ")


def test_it_names_its_target(client: Client, target: str) -> None:
    assert repr(client) == f"Client({target!r}, model='digits')"
