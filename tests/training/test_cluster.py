"""What TF_CONFIG may say, and how the workers of a job meet before TensorFlow starts."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from gannet_client.errors import UsageError
from gannet_training.cluster import Cluster, Task, read_cluster
from gannet_training.rendezvous import WorkersMissing, meet
from tests.ports import free_ports

TWO = {"worker": ["a:1", "b:1"]}
FIRST = {"type": "worker", "index": 0}


def read(config: Any) -> Cluster | None:
    return read_cluster({"TF_CONFIG": config if isinstance(config, str) else json.dumps(config)})


def test_the_chief_comes_first_whatever_the_order() -> None:
    config = {
        "cluster": {"worker": ["a:1", "[::1]:2"], "chief": ["c:3"]},
        "task": {"type": "worker", "index": 1},
    }
    cluster = read(config)
    assert cluster is not None
    assert [task.address for task in cluster.tasks] == ["c:3", "a:1", "[::1]:2"]
    assert (cluster.rank, cluster.is_chief, cluster.chief.name) == (2, False, "chief 0 (c:3)")
    assert cluster.task.host_and_port == ("::1", 2)


def test_no_variable_is_no_cluster() -> None:
    assert read_cluster({}) is None
    assert read_cluster({"TF_CONFIG": " "}) is None


WRONG = [
    ("{", "JSON"),
    ("[]", 'an object "cluster"'),
    ({"task": FIRST}, 'an object "cluster"'),
    ({"cluster": TWO}, 'an object "task"'),
    ({"cluster": {}, "task": FIRST}, "chief and worker"),
    ({"cluster": {"worker": "a:1"}, "task": FIRST}, "a list of addresses"),
    ({"cluster": {**TWO, "ps": ["c:1"]}, "task": FIRST}, "chief and worker alone, received 'ps'"),
    ({"cluster": {**TWO, "chief": ["c:1", "d:1"]}, "task": FIRST}, "one chief"),
    ({"cluster": {"worker": ["a:1", "b"]}, "task": FIRST}, "host:port, received 'b'"),
    ({"cluster": {"worker": ["a:1", "b:70000"]}, "task": FIRST}, "host:port, received 'b:70000'"),
    ({"cluster": {"worker": ["a:1", "a:1"]}, "task": FIRST}, "received 'a:1 twice'"),
    ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "from 0 to 1 for worker, received '2'"),
    ({"cluster": TWO, "task": {"type": "worker", "index": -1}}, "from 0 to 1 for worker, received '-1'"),
    ({"cluster": TWO, "task": {"type": "worker"}}, "from 0 to 1 for worker, received 'null'"),
    ({"cluster": TWO, "task": {"type": "chief", "index": 0}}, r'"type" that the cluster has \(worker\)'),
]


@pytest.mark.parametrize(("config", "message"), WRONG)
def test_what_is_wrong_is_one_line(
    gannet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=rf"^TF_CONFIG: expected .*{message}.*; correct it on this worker$"):
        read(config)
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))
    ended = gannet("train", "gan", "--data", "digits", "--out", tmp_path / "run", "--strategy", "multiworker")
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "run").exists()


def test_multiworker_needs_the_variable(gannet: Callable[..., Any], tmp_path: Path) -> None:
    ended = gannet("train", "gan", "--data", "digits", "--out", tmp_path / "run", "--strategy", "multiworker")
    assert ended.code == 2
    assert "expects TF_CONFIG in the environment of every worker, received none; set it" in ended.stderr


def test_replicas_are_refused_before_anybody_is_waited_for(
    gannet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": TWO, "task": FIRST}))
    ended = gannet("train", "gan", "--data", "digits", "--out", tmp_path / "run", "--replicas", 2)
    assert ended.code == 2
    assert "leave --replicas out" in ended.stderr


def test_another_strategy_says_that_it_trains_alone(
    gannet: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": TWO, "task": FIRST}))
    settings = ("--image-size", 8, "--width", 4, "--steps", 1, "--batch-size", 4, "--strategy", "single")
    ended = gannet("train", "gan", "--data", "digits", "--out", tmp_path / "run", *settings)
    assert ended.code == 0
    assert "TF_CONFIG names 2 workers, but the strategy single trains on this one alone" in caplog.text


def cluster_of(count: int) -> list[Cluster]:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    config = {"cluster": {"worker": addresses}}
    clusters = [read({**config, "task": {"type": "worker", "index": rank}}) for rank in range(count)]
    return [cluster for cluster in clusters if cluster]


def gather(
    clusters: list[Cluster], settings: list[dict[str, Any]], chief_waits: float = 60
) -> list[Future[None]]:
    with ThreadPoolExecutor() as pool:
        return [
            pool.submit(meet, cluster, own, chief_waits if cluster.is_chief else 60)
            for cluster, own in zip(clusters, settings, strict=False)
        ]


def test_workers_meet() -> None:
    assert [met.exception() for met in gather(cluster_of(3), [{"seed": 1}] * 3)] == [None] * 3


def test_settings_that_differ_are_refused_on_every_worker() -> None:
    settings = [{"seed": 1, "steps": 5}, {"seed": 2, "steps": 5}]
    refusals = [met.exception() for met in gather(cluster_of(2), settings)]
    assert all(isinstance(refusal, UsageError) for refusal in refusals)
    assert len({str(refusal) for refusal in refusals}) == 1
    assert str(refusals[0]).endswith("seed 1 and 2")


def test_workers_that_know_other_colleagues_are_refused() -> None:
    chief, worker = cluster_of(2)
    stranger = Task("worker", 2, "127.0.0.1:9")
    met = gather([chief, Cluster((*worker.tasks, stranger), 1)], [{}, {}])
    for refusal in (meeting.exception() for meeting in met):
        assert isinstance(refusal, UsageError)
        assert "expected the same settings on every worker" in str(refusal)
        assert str(refusal).endswith(f"and ['{chief.chief.address}', '{worker.task.address}', '127.0.0.1:9']")


def test_whoever_came_hears_who_did_not() -> None:
    clusters = cluster_of(3)
    refusals = [met.exception() for met in gather(clusters[:2], [{}, {}], chief_waits=5)]
    for refusal in refusals:
        assert isinstance(refusal, WorkersMissing)
        assert f" s for worker 2 ({clusters[2].task.address}); start" in str(refusal)


def test_a_chief_that_does_not_come_is_named() -> None:
    clusters = cluster_of(2)
    with pytest.raises(
        WorkersMissing, match=rf"^waited [1-9]\d* s for worker 0 \({clusters[0].task.address}\)"
    ):
        meet(clusters[1], {}, 1)


STRANGE = (
    *(b"GET / HTTP/1.1\r\n\r\n", b'{"greeting": 1}\n', b"[" * 70_000 + b"\n"),
    *(b'{"rank": 1}', b"\xff\n"),
)


def test_strangers_neither_stop_nor_join_a_meeting() -> None:
    clusters = cluster_of(2)
    with ThreadPoolExecutor() as pool:
        host = pool.submit(meet, clusters[0], {}, 60)
        address = clusters[0].task.host_and_port
        strangers = [knock(address) for _ in STRANGE]
        for stranger, words in zip(
            strangers,
            (
                b"GET / HTTP/1.1\r\n\r\n",
                b'{"greeting": 1}\n',
                b"[" * 70_000 + b"\n",
                b'{"rank": 1}',
                b"\xff\n",
            ),
            strict=True,
        ):
            stranger.sendall(words)
        strangers[3].close()
        assert not host.done()
        meet(clusters[1], {}, 60)
        assert host.result() is None
    for stranger in strangers:
        stranger.close()


def knock(address: tuple[str, int]) -> socket.socket:
    for _ in range(500):
        try:
            return socket.create_connection(address, 5)
        except OSError:
            time.sleep(0.01)
    raise AssertionError("the chief does not listen")


def test_a_worker_that_left_is_waited_for_again() -> None:
    clusters = cluster_of(3)
    with ThreadPoolExecutor() as pool:
        host = pool.submit(meet, clusters[0], {}, 60)
        with knock(clusters[0].task.host_and_port) as early:
            settings = {"cluster": [task.address for task in clusters[0].tasks]}
            hello = {"greeting": "gannet-rendezvous-1", "rank": 1, "settings": settings}
            early.sendall(json.dumps(hello).encode() + b"\n")
        other = pool.submit(meet, clusters[2], {}, 60)
        assert not wait([host], timeout=0.5).done
        meet(clusters[1], {}, 60)
        assert (host.result(), other.result()) == (None, None)
