"""The states of versions, and waiting for one that can be asked."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gannet_client import Client, RequestTimeout, ServerUnreachable, VersionStatus

AVAILABLE, LOADING, END = 30, 20, 50


@pytest.fixture
def client(target: str) -> Any:
    with Client(target, model="digits") as client:
        yield client


def test_status_lists_every_version(client: Client, fake: Any) -> None:
    fake.states = {1: AVAILABLE, 2: END, 3: LOADING}
    fake.errors = {2: (11, "Read less bytes\nthan requested")}
    assert client.status() == [
        VersionStatus(3, "LOADING"),
        VersionStatus(2, "END", "OUT_OF_RANGE", "Read less bytes than requested"),
        VersionStatus(1, "AVAILABLE"),
    ]


def test_ready_at_once_is_the_highest_available_version(client: Client, fake: Any) -> None:
    fake.states = {1: AVAILABLE, 2: AVAILABLE, 3: LOADING}
    assert client.wait_ready() == 2


def test_waiting_outlasts_a_server_that_starts_and_loads(free_port: int, fake: Any, start: Any) -> None:
    fake.states = {}

    def load() -> None:
        start(fake, free_port)
        while not fake.requests:  # the model is unknown, as seen by the client
            time.sleep(0.01)
        fake.states = {1: LOADING}
        while len(fake.requests) < 3:
            time.sleep(0.01)
        fake.states = {1: AVAILABLE}

    with Client(f"127.0.0.1:{free_port}", model="digits", timeout=60) as client:
        with pytest.raises(ServerUnreachable):
            client.status()
        loading = threading.Thread(target=load)
        loading.start()
        assert client.wait_ready() == 1
        loading.join()
        assert len(client.generate(1)) == 1


@pytest.mark.parametrize(
    ("states", "errors", "seen"),
    [
        ({1: LOADING}, {}, "version 1 LOADING"),
        ({1: END}, {1: (11, "bad file")}, "version 1 END (OUT_OF_RANGE: bad file)"),
        ({}, {}, "no such model or version"),
    ],
)
def test_waiting_ends_with_what_was_seen_last(
    client: Client, target: str, fake: Any, states: Any, errors: Any, seen: str
) -> None:
    client.status()  # connected: the first answer is in time on the slowest machine
    fake.states, fake.errors = states, errors
    with pytest.raises(RequestTimeout) as caught:
        client.wait_ready(5)
    for part in ("not ready within 5 s", "model 'digits'", target, seen):
        assert part in str(caught.value) and "\n" not in str(caught.value)


def test_waiting_for_a_silent_server_ends_too(client: Client, fake: Any) -> None:
    fake.release.clear()
    with pytest.raises(RequestTimeout, match="no answer"):
        client.wait_ready(0.2)


def test_a_silent_server_is_not_waited_for_alone(client: Client, fake: Any) -> None:
    fake.release.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait_ready, 600)
        while not fake.remaining:
            time.sleep(0.01)
        assert fake.remaining[0] <= 5.1
        fake.release.set()
        assert waiting.result() == 1


def test_waiting_for_nobody_ends_too(free_port: int) -> None:
    with Client(f"127.0.0.1:{free_port}", model="digits") as client:
        with pytest.raises(ServerUnreachable):
            client.status()
        with pytest.raises(RequestTimeout, match="no server answers"):
            client.wait_ready(5)
