"""Callers in a process of their own, and servers that tell how much of the processor they used."""

import multiprocessing
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, NamedTuple

import grpc

PREDICT = "/tensorflow.serving.PredictionService/Predict"
_READY_SECONDS = 120
_spawn = multiprocessing.get_context("spawn")


class Measured(NamedTuple):
    """A turn of calls: seconds of each, and of all together."""

    latencies: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Calls per second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """The seconds within which that share of the calls was answered."""
        return sorted(self.latencies)[int(share * (len(self.latencies) - 1))]


class Server:
    """A server in a process of its own."""

    def __init__(self, address: str, end: Connection) -> None:
        self.address = address
        self._end = end

    def cpu_seconds(self) -> float:
        """What its own getrusage says."""
        self._end.send(None)
        return float(self._end.recv())


class Load:
    """Calls a server from another process, which many callers share."""

    def __init__(self, end: Connection) -> None:
        self._end = end

    def calls(self, address: str, requests: Sequence[bytes], callers: int, count: int) -> Measured:
        """Each caller begins its next call when the one before is answered; the requests take turns."""
        return self._measure(address, requests, callers, count, 0.0)

    def paced(
        self, address: str, requests: Sequence[bytes], callers: int, count: int, rate: float
    ) -> Measured:
        """So many calls a second, whatever becomes of them; a call's time counts from when it was due."""
        return self._measure(address, requests, callers, count, rate)

    def _measure(self, *task: Any) -> Measured:
        self._end.send(task)
        measured = self._end.recv()
        if isinstance(measured, Exception):
            raise measured
        return Measured(*measured)


@contextmanager
def load() -> Iterator[Load]:
    """A process of callers."""
    with child(_call) as end:
        yield Load(end)


@contextmanager
def gannet(*flags: str) -> Iterator[Server]:
    """Runs `gannet-model-server`."""
    with _serving(_gannet, flags) as server:
        yield server


@contextmanager
def bare(answer: bytes, threads: int) -> Iterator[Server]:
    """Runs a server of grpcio that gives every call the same answer."""
    with _serving(_bare, answer, threads) as server:
        yield server


def cpu_per_call(server: Server, callers: Load, request: bytes, count: int, calls: int) -> float:
    """Seconds of the processor that a server takes for each of many calls from `count` callers."""
    before = server.cpu_seconds()
    callers.calls(server.address, [request], count, calls)
    return (server.cpu_seconds() - before) / calls


@contextmanager
def _serving(serve: Callable[..., None], *arguments: object) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with child(serve, port, *arguments) as end:
        address = f"127.0.0.1:{port}"
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(_READY_SECONDS)
        yield Server(address, end)


@contextmanager
def child(run: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process that runs `run(end, *arguments)`; what comes out is the other end."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=run, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


def cpu_seconds() -> float:
    """What this process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _gannet(end: Connection, port: int, flags: Sequence[str]) -> None:
    from gannet_serving.main import main

    Thread(target=_tell_cpu, args=(end,), daemon=True).start()
    sys.argv = ["gannet-model-server", f"--port={port}", *flags]
    main()


def _bare(end: Connection, port: int, answer: bytes, threads: int) -> None:
    class Handler(grpc.GenericRpcHandler):
        def service(self, details: object) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

    server = grpc.server(ThreadPoolExecutor(threads), handlers=[Handler()])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    _tell_cpu(end)


def _tell_cpu(end: Connection) -> None:
    while True:
        end.recv()
        end.send(cpu_seconds())


def _call(end: Connection) -> None:
    while True:
        task = end.recv()
        try:
            end.send(tuple(_measure(*task)))
        except Exception as error:
            end.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _measure(address: str, requests: Sequence[bytes], callers: int, count: int, rate: float) -> Measured:
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options=options) as channel, ThreadPoolExecutor(callers) as pool:
        predict: Any = channel.unary_unary(PREDICT)

        def call_many(first: int) -> list[float]:
            latencies = []
            for number in range(first, count, callers):
                due = begin + number / rate if rate else time.perf_counter()
                time.sleep(max(due - time.perf_counter(), 0))
                predict(requests[number % len(requests)], timeout=60)
                latencies.append(time.perf_counter() - due)
            return latencies

        begin = time.perf_counter()
        latencies = [latency for each in pool.map(call_many, range(callers)) for latency in each]
        return Measured(latencies, time.perf_counter() - begin)
