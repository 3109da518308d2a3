"""Where the workers of a job meet before any of them starts TensorFlow.

TensorFlow's own start waits for a missing worker for an hour and hears no signal meanwhile. Here the wait has
an end, Ctrl-C ends it, the message names who is missing, and workers that were given different settings are
refused before anything starts. The chief listens at its own address, which TensorFlow takes over afterwards.
"""

import contextlib
import ipaddress
import json
import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gannet_client.errors import GannetError, UsageError
from gannet_training.cluster import Cluster

WAIT_SECONDS = 300
GREETING = "gannet-rendezvous-1"
_MOST_BYTES = 1 << 16
_MOST_CALLERS = 1024
_RETRY_SECONDS = 0.2
_ANSWER_SECONDS = 10.0
_MOST_SHOWN = 200


class WorkersMissing(GannetError):
    """Not every worker of the job came in time."""


def meet(cluster: Cluster, settings: dict[str, Any], seconds: float) -> None:
    """Wait until every worker of a job is there, and see that all were given the same settings and cluster.

    Args:
        cluster: of the job.
        settings: JSON values that must be the same on every worker.
        seconds: to wait.

    Raises:
        WorkersMissing: somebody did not come; the message says who, on every worker that did.
        UsageError: the settings differ, or the chief cannot listen at its address.
    """
    deadline = time.monotonic() + seconds
    settings = {**settings, "cluster": [task.address for task in cluster.tasks]}
    if cluster.is_chief:
        refusal = _Host(cluster, settings, deadline).gather()
    else:
        refusal = _call(cluster, settings, deadline)
    if refusal:
        raise (UsageError if refusal["usage"] else WorkersMissing)(refusal["text"])


def missing(tasks: list[str], seconds: float) -> str:
    """Say that workers did not come."""
    return (
        f"waited {seconds:.0f} s for {', '.join(tasks)}; start the same command on every machine of "
        "TF_CONFIG, make sure that the addresses can be reached, or wait longer with --wait"
    )


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """List what differs between two workers, as "name one and other".

    Example:
        >>> differences({"seed": 1, "steps": 5}, {"seed": 1, "steps": 6, "width": 8})
        ['steps 5 and 6', 'width not set and 8']
    """
    names = sorted(mine.keys() | theirs.keys())
    return [
        f"{name} {mine.get(name, 'not set')} and {theirs.get(name, 'not set')}"[:_MOST_SHOWN]
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


def unequal(cluster: Cluster, rank: int, what: str, found: list[str]) -> str:
    """Say in what a worker differs from the chief."""
    return (
        f"expected the same {what} on every worker, received of {cluster.chief.name} and "
        f"{cluster.tasks[rank].name}: {'; '.join(found)}"
    )


@dataclass
class _Host:
    """The chief's side."""

    cluster: Cluster
    settings: dict[str, Any]
    deadline: float
    arrived: dict[int, socket.socket] = field(default_factory=dict)
    refusal: dict[str, Any] | None = None
    heard: dict[socket.socket, bytes] = field(default_factory=dict)

    def gather(self) -> dict[str, Any] | None:
        """Wait for all; tell all the same: None to go on, or why not."""
        began = time.monotonic()
        with self._listener() as listener, selectors.DefaultSelector() as self._selector:
            self._selector.register(listener, selectors.EVENT_READ)
            while self._absent() and not self.refusal:
                left = self.deadline - time.monotonic()
                if left <= 0:
                    text = missing(self._absent(), time.monotonic() - began)
                    self.refusal = {"usage": False, "text": text}
                    break
                for key, _ in self._selector.select(left):
                    self._serve(key.fileobj)
            self._answer()
        return self.refusal

    def _absent(self) -> list[str]:
        tasks = self.cluster.tasks
        return [task.name for rank, task in enumerate(tasks) if rank and rank not in self.arrived]

    def _listener(self) -> socket.socket:
        host, port = self.cluster.chief.host_and_port
        try:
            if _is_loopback(host):
                return socket.create_server(
                    (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
                )
            if socket.has_dualstack_ipv6():
                return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            return socket.create_server(("", port))
        except OSError as error:
            raise UsageError(
                f"the chief cannot listen at {self.cluster.chief.address}: {error.strerror or error}; "
                "end what uses the port, or give the chief another one in TF_CONFIG"
            ) from error

    def _serve(self, ready: Any) -> None:
        if ready not in self.heard:
            caller, _ = ready.accept()
            if len(self.heard) >= _MOST_CALLERS:
                caller.close()
                return
            caller.setblocking(False)
            self.heard[caller] = b""
            self._selector.register(caller, selectors.EVENT_READ)
            return
        try:
            data = ready.recv(_MOST_BYTES)
        except OSError:
            data = b""
        self.heard[ready] += data
        complete = self.heard[ready].endswith(b"\n")
        if not data or len(self.heard[ready]) > _MOST_BYTES:
            self._dismiss(ready)
        elif complete:
            self._welcome(ready, self.heard[ready])

    def _dismiss(self, caller: socket.socket) -> None:
        self._selector.unregister(caller)
        del self.heard[caller]
        self.arrived = {rank: known for rank, known in self.arrived.items() if known is not caller}
        caller.close()

    def _welcome(self, caller: socket.socket, line: bytes) -> None:
        try:
            told = json.loads(line)
            rank, settings = int(told["rank"]), dict(told["settings"])
            if told["greeting"] != GREETING or not 0 < rank < len(self.cluster.tasks):
                raise ValueError(rank)
        except (ValueError, TypeError, KeyError, RecursionError):
            self._dismiss(caller)
            return
        self.heard[caller] = b""
        self.arrived[rank] = caller
        found = differences(self.settings, settings)
        if found:
            self.refusal = {"usage": True, "text": unequal(self.cluster, rank, "settings", found)}

    def _answer(self) -> None:
        line = json.dumps({"greeting": GREETING, "refusal": self.refusal}).encode() + b"\n"
        for caller in [*self.heard]:
            if caller in self.arrived.values():
                caller.settimeout(_ANSWER_SECONDS)
                with contextlib.suppress(OSError):
                    caller.sendall(line)
            self._dismiss(caller)


def _call(cluster: Cluster, settings: dict[str, Any], deadline: float) -> dict[str, Any] | None:
    """A worker's side: call until the chief answers."""
    began = time.monotonic()
    hello = {"greeting": GREETING, "rank": cluster.rank, "settings": settings}
    while (left := deadline - time.monotonic()) > 0:
        # After its own deadline the chief still says whom it missed.
        answer = _ask(cluster.chief.host_and_port, json.dumps(hello).encode() + b"\n", left + _ANSWER_SECONDS)
        if answer is not None:
            refusal: dict[str, Any] | None = answer["refusal"]
            return refusal
        time.sleep(_RETRY_SECONDS)
    return {"usage": False, "text": missing([cluster.chief.name], time.monotonic() - began)}


def _ask(address: tuple[str, int], hello: bytes, seconds: float) -> dict[str, Any] | None:
    """Ask once; None where nobody answers, or somebody else: TensorFlow's server of a job that is ending."""
    try:
        with socket.create_connection(address, timeout=min(seconds, _ANSWER_SECONDS)) as connection:
            connection.sendall(hello)
            connection.settimeout(seconds)
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline(_MOST_BYTES))
        return answer if isinstance(answer, dict) and answer.get("greeting") == GREETING else None
    except (OSError, ValueError):
        return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
