"""Requests that are merged: each gets its own rows, and none suffers from another."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_client.codec import encode_values
from gannet_client.contract import WARMUP_FILE
from gannet_serving.batching.batcher import Batcher
from gannet_serving.batching.lane import BatchRun, LaneName
from gannet_serving.batching.parameters import PARAMETERS_FILE, BatchingParameters
from gannet_serving.batching.queue import Queue
from gannet_serving.batching.scheduler import Scheduler
from gannet_serving.batching.session import BatchingSession
from gannet_serving.batching.tasks import Task
from gannet_serving.callers import UNHURRIED
from gannet_serving.config import models
from gannet_serving.engine import load_model, loader
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.sources import Fixed
from gannet_serving.status import StatusError
from gannet_serving.versions import Version

HOUR = 3_600_000_000
NAME = LaneName("gen", 1, "serving_default")


class Deadline:
    """A call whose time is over, or whose caller is gone, once a test says so."""

    def __init__(self, left: float = 0.01) -> None:
        self.is_over = False
        self.is_gone = False
        self._left = left  # and so long a wait before it is looked at again

    def time_remaining(self) -> float:
        return 0.0 if self.is_over else self._left

    def is_active(self) -> bool:
        return not self.is_gone


class Soon:
    """A call that waits for a while, but not for ever."""

    def __init__(self) -> None:
        self._end = time.monotonic() + 30

    def time_remaining(self) -> float:
        return self._end - time.monotonic()

    def is_active(self) -> bool:
        return True


class Merged:
    """A loaded model with batching, and what was run on it."""

    def __init__(self, path: Path, **parameters: Any) -> None:
        self.runs: list[BatchRun] = []
        chosen = BatchingParameters(**{"num_batch_threads": 1, **parameters})
        scheduler = Scheduler(chosen.num_batch_threads, "merging")
        self.session: Any = load_model(
            path,
            wrap=lambda session: BatchingSession(
                session, Version("gen", 1, path), chosen, scheduler, self.runs.append
            ),
        )

    @property
    def sizes(self) -> list[tuple[int, int, int]]:
        """Requests, rows and padding of each run."""
        return [(run.requests, run.rows, run.padding) for run in self.runs]

    def run(self, inputs: dict[str, np.ndarray], **options: Any) -> dict[str, np.ndarray]:
        signature = self.session.signatures["serving_default"]
        feeds = {signature.inputs[alias].name: array for alias, array in inputs.items()}
        fetches = {alias: info.name for alias, info in signature.outputs.items()}
        return dict(zip(fetches, self.session.run(feeds, list(fetches.values()), **options), strict=True))

    def wait_for_tasks(self, count: int) -> None:
        while dict(self.session.queue_lengths()).get(NAME) != count:
            Event().wait(0.001)


@pytest.fixture(scope="module")
def paths(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("batching")
    return {
        "gen": saved_models.write_gen(directory / "1"),
        "echo": saved_models.write_echo(directory / "2"),
        "zoo": saved_models.write_zoo(directory / "3"),
        "pausing": saved_models.write_pausing(directory / "4"),
    }


@pytest.fixture
def merged(paths: dict[str, Path]) -> Iterator[Callable[..., Merged]]:
    made: list[Merged] = []

    def make(model: str, **parameters: Any) -> Merged:
        made.append(Merged(paths[model], **parameters))
        return made[-1]

    yield make
    for model in made:
        model.session.close()


@contextmanager
def callers(*calls: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        yield [pool.submit(call) for call in calls]


def noise(rows: int, width: int = 4) -> dict[str, np.ndarray]:
    return {"noise": np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)}


def echo(rows: int, width: int = 3, first: int = 0) -> dict[str, np.ndarray]:
    x = np.arange(first, first + rows * width, dtype=np.float32).reshape(rows, width)
    return {"x": x, "names": np.array([f"{first} {row}".encode() for row in range(rows)], object)}


def refusal_of(call: Callable[[], Any]) -> str:
    with pytest.raises(StatusError) as caught:
        call()
    return str(caught.value)


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"max_batch_size": 8, "allowed_batch_sizes": (2, 4, 8)},
        {"pad_variable_length_inputs": True},
        {"max_batch_size": 8, "enable_large_batch_splitting": True, "max_execution_batch_size": 3},
    ],
    ids=["plain", "allowed sizes", "filled up", "split"],
)
def of_many_kinds(request: pytest.FixtureRequest, paths: dict[str, Path]) -> Iterator[Merged]:
    parameters = {"max_enqueued_batches": 100, "batch_timeout_micros": 500, **request.param}
    model = Merged(paths["echo"], **parameters)
    yield model
    model.session.close()


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 3)), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_every_caller_gets_its_own_rows_in_order(
    of_many_kinds: Merged, shapes: list[tuple[int, int]]
) -> None:
    inputs = [echo(rows, width, first=100 * n) for n, (rows, width) in enumerate(shapes)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(of_many_kinds.run, inputs))
    for given_inputs, outputs in zip(inputs, answers, strict=True):
        rows, width = given_inputs["x"].shape
        assert outputs["x"].shape[0] == rows
        np.testing.assert_array_equal(outputs["x"][:, :width], given_inputs["x"])
        np.testing.assert_array_equal(outputs["names"], given_inputs["names"], strict=True)


def test_a_full_batch_is_one_run(merged: Callable[..., Merged], saved_models: Any) -> None:
    model = merged("gen", max_batch_size=4, batch_timeout_micros=HOUR)
    inputs = [noise(1), noise(2), noise(1)]
    with callers(*(lambda array=array: model.run(array) for array in inputs)) as calls:
        for array, call in zip(inputs, calls, strict=True):
            np.testing.assert_allclose(
                call.result()["images"], saved_models.images(array["noise"]), rtol=1e-5
            )
    [run] = model.runs
    assert (run.name, run.requests, run.rows, run.padding) == (NAME, 3, 4, 0)
    assert len(run.waited) == 3
    assert min(run.waited) >= 0


def test_a_batch_is_padded_to_the_next_allowed_size(merged: Callable[..., Merged]) -> None:
    model = merged("gen", max_batch_size=8, allowed_batch_sizes=(4, 8))
    for rows in (3, 4, 5):
        assert len(model.run(noise(rows))["images"]) == rows
    assert model.sizes == [(1, 3, 1), (1, 4, 0), (1, 5, 3)]


def test_the_numbers_of_a_refusal_are_those_of_the_padded_batch(merged: Callable[..., Merged]) -> None:
    model = merged("gen", max_batch_size=8, allowed_batch_sizes=(8,))
    assert refusal_of(lambda: model.run(noise(2, 5))).startswith(
        "INVALID_ARGUMENT: Matrix size-incompatible: In[0]: [8,5], In[1]: [4,16]"
    )


def test_a_wrong_width_harms_no_neighbour(merged: Callable[..., Merged]) -> None:
    model = merged("gen", max_batch_size=3, batch_timeout_micros=HOUR, pad_variable_length_inputs=True)
    with callers(
        lambda: model.run(noise(1)), lambda: model.run(noise(1, 3)), lambda: model.run(noise(1))
    ) as (first, bad, last):
        assert len(first.result()["images"]) == len(last.result()["images"]) == 1
        assert refusal_of(bad.result).startswith("INVALID_ARGUMENT: Matrix size-incompatible: In[0]: [1,3]")
    assert sorted(model.sizes) == [(1, 1, 0), (2, 2, 0)]


def test_a_wrong_dtype_is_refused_before_it_waits(merged: Callable[..., Merged]) -> None:
    model = merged("gen", batch_timeout_micros=HOUR)
    refusal = refusal_of(lambda: model.run({"noise": np.zeros((1, 4), np.int64)}))
    assert refusal == "INVALID_ARGUMENT: Expects arg[0] to be float but int64 is provided"


def test_a_failed_run_is_tried_again_one_by_one(merged: Callable[..., Merged]) -> None:
    model = merged("echo", max_batch_size=3, batch_timeout_micros=HOUR)
    bad = echo(1)
    bad["x"] -= 1
    with callers(
        lambda: model.run(echo(1)), lambda: model.run(bad), lambda: model.run(echo(1, first=7))
    ) as calls:
        assert [call.result()["x"][0, 0] for call in (calls[0], calls[2])] == [0, 7]
        assert refusal_of(calls[1].result).startswith("INVALID_ARGUMENT: assertion failed: [negative]")
    assert model.sizes == [(3, 3, 0), (1, 1, 0), (1, 1, 0), (1, 1, 0)]


def test_no_rows_are_answered_at_once(merged: Callable[..., Merged]) -> None:
    model = merged("gen", max_batch_size=4, allowed_batch_sizes=(4,), batch_timeout_micros=HOUR)
    assert model.run(noise(0))["images"].shape == (0, 4, 4, 1)


def test_a_request_beyond_the_largest_batch(merged: Callable[..., Merged]) -> None:
    model = merged("gen", max_batch_size=4)
    refusal = refusal_of(lambda: model.run(noise(5)))
    assert refusal == "INVALID_ARGUMENT: Task size 5 is larger than maximum input batch size 4"


def test_an_output_that_has_no_rows(merged: Callable[..., Merged]) -> None:
    import ml_dtypes

    model = merged("zoo")
    inputs = {
        "count": np.zeros(2, np.int64),
        "half": np.zeros(2, ml_dtypes.bfloat16),
        "name": np.array([b"", b""], object),
    }
    refusal = refusal_of(lambda: model.run(inputs))
    assert refusal == "FAILED_PRECONDITION: Batched output tensor has 0 dimensions"


def test_a_caller_whose_time_is_over_leaves_the_queue(merged: Callable[..., Merged]) -> None:
    model = merged("gen", max_batch_size=2, max_enqueued_batches=1, batch_timeout_micros=HOUR)
    deadline = Deadline()
    with callers(lambda: model.run(noise(1), call=deadline)) as [call]:
        model.wait_for_tasks(1)
        deadline.is_over = True
        assert refusal_of(call.result) == "DEADLINE_EXCEEDED: Deadline Exceeded"
    assert model.session.queue_lengths() == [(NAME, 0)]
    assert model.runs == []
    assert len(model.run(noise(2))["images"]) == 2


def test_a_caller_who_is_gone_costs_nothing(merged: Callable[..., Merged]) -> None:
    model = merged("gen", max_batch_size=2, batch_timeout_micros=HOUR)
    gone = Deadline(left=60)
    with callers(lambda: model.run(noise(1), call=gone)) as [call]:
        model.wait_for_tasks(1)
        gone.is_gone = True
        with callers(lambda: model.run(noise(1))) as [other]:
            assert len(other.result()["images"]) == 1
        assert refusal_of(call.result) == "CANCELLED: Cancelled"
    assert model.sizes == [(1, 1, 0)]


def test_a_caller_wakes_at_its_deadline_while_its_batch_runs_on(
    merged: Callable[..., Merged], pause: Any
) -> None:
    model = merged("pausing")
    deadline = Deadline()
    with callers(lambda: model.run(pause.inputs, call=deadline)) as [call]:
        pause.wait_until_running()
        deadline.is_over = True
        assert refusal_of(call.result) == "DEADLINE_EXCEEDED: Deadline Exceeded"
    with callers(model.session.close) as [closing]:
        assert not closing.done()
        pause.end()
        closing.result()
    model.session.close = lambda: None


def test_closing_answers_whoever_waits_and_ends_the_threads(paths: dict[str, Path]) -> None:
    before = {thread.name for thread in threading.enumerate()}
    model = Merged(paths["gen"], batch_timeout_micros=HOUR, num_batch_threads=3)
    with callers(lambda: model.run(noise(1))) as [call]:
        model.wait_for_tasks(1)
        model.session.close()
        assert len(call.result()["images"]) == 1
    while {thread.name for thread in threading.enumerate()} - before:
        Event().wait(0.001)


def test_a_version_that_leaves_takes_no_thread_from_another() -> None:
    scheduler = Scheduler(2, "merging")
    leaving, staying = scheduler.join(), scheduler.join()
    is_over = Event()

    def answer(tasks: list[Task]) -> None:
        for task in tasks:
            task.answer(task.values)

    def answer_late(tasks: list[Task]) -> None:
        is_over.wait(60)
        answer(tasks)

    values, parameters = list(noise(1).values()), BatchingParameters()
    late = Queue(leaving, parameters, answer_late)
    prompt = Queue(staying, parameters, answer)
    scheduler.put(late, values, 1, UNHURRIED)
    with callers(lambda: scheduler.leave(leaving)) as [end]:
        while not leaving.is_leaving:
            Event().wait(0.001)
        for _ in range(20):
            [task] = scheduler.put(prompt, values, 1, Soon())
            assert task.result() == values
        assert not end.done()
        is_over.set()
        end.result()
    scheduler.leave(staying)


class TestAServer:
    """Batching as the options of a server ask for it."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "parameters"

    def test_a_warm_up_record_beyond_the_largest_batch_fails_the_load(
        self, saved_models: Any, file: Path, tmp_path: Path
    ) -> None:
        import tensorflow as tf
        from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

        path = saved_models.write_gen(tmp_path / "1")
        log = PredictionLog()
        encode_values(noise(3)["noise"], log.predict_log.request.inputs["noise"])
        (path / WARMUP_FILE).parent.mkdir()
        with tf.io.TFRecordWriter(str(path / WARMUP_FILE)) as writer:
            writer.write(log.SerializeToString())
        file.write_text("max_batch_size { value: 2 }")
        options = ServerOptions(enable_batching=True, batching_parameters_file=str(file))
        refusal = refusal_of(lambda: loader(options)(Version("gen", 1, path)))
        assert refusal == "INVALID_ARGUMENT: Task size 3 is larger than maximum input batch size 2"

    def test_each_model_has_its_own_parameters_or_none(
        self, paths: dict[str, Path], saved_models: Any, tmp_path: Path
    ) -> None:
        path = saved_models.write_gen(tmp_path / "5")
        (path / PARAMETERS_FILE).write_text("max_batch_size { value: 2 }")
        options = ServerOptions(enable_batching=True, enable_per_model_batching_parameters=True)
        batcher = Batcher(options)
        load = loader(options, batcher)
        batched, plain = load(Version("a", 5, path)), load(Version("b", 1, paths["gen"]))
        name = {"serving_default_noise:0": noise(3)["noise"]}
        fetch = [batched.signatures["serving_default"].outputs["images"].name]
        assert refusal_of(lambda: batched.run(name, fetch)).startswith("INVALID_ARGUMENT: Task size 3")
        assert len(plain.run(name, fetch)[0]) == 3
        assert batcher.queue_lengths() == {LaneName("a", 5, "serving_default"): 0}
        batched.close()
        plain.close()

    def test_bad_parameters_of_a_model_fail_its_load(self, saved_models: Any, tmp_path: Path) -> None:
        path = saved_models.write_gen(tmp_path / "5")
        (path / PARAMETERS_FILE).write_text("max_batch_size { value: 0 }")
        options = ServerOptions(enable_batching=True, enable_per_model_batching_parameters=True)
        refusal = refusal_of(lambda: loader(options)(Version("a", 5, path)))
        assert refusal.endswith(f"{PARAMETERS_FILE}: input_batch_size_limit must be positive; was 0")

    def test_a_version_that_is_unloaded_answers_whoever_waits(
        self, saved_models: Any, file: Path, tmp_path: Path
    ) -> None:
        saved_models.write_gen(tmp_path / "1")
        file.write_text(f"batch_timeout_micros {{ value: {HOUR} }}")
        options = ServerOptions(enable_batching=True, batching_parameters_file=str(file))
        batcher = Batcher(options)
        manager = ModelManager(Fixed(models({"gen": tmp_path})), options, load=loader(options, batcher))
        manager.start()
        assert manager.wait_until_settled(60)

        def call() -> int:
            with manager.lease("gen", None) as (_, session):
                outputs = session.signatures["serving_default"].outputs
                feeds = {"serving_default_noise:0": noise(1)["noise"]}
                return len(session.run(feeds, [outputs["images"].name])[0])

        with callers(call) as [waiting]:
            while batcher.queue_lengths().get(NAME) != 1:
                Event().wait(0.001)
            assert manager.stop(60)
            assert waiting.result() == 1

    def test_calls_over_grpc_and_rest_share_a_batch(
        self,
        saved_models: Any,
        file: Path,
        tmp_path: Path,
        connect: Callable[[str], Any],
        predict_request: Callable[..., Any],
    ) -> None:
        """It runs only once it is full, so an answer tells that all eight were in it."""
        import json
        from urllib.request import Request, urlopen

        from gannet_serving.local_server import LocalServer

        (tmp_path / "models" / "gen").mkdir(parents=True)
        saved_models.write_gen(tmp_path / "models" / "gen" / "1")
        file.write_text(f"max_batch_size {{ value: 8 }} batch_timeout_micros {{ value: {HOUR} }}")
        options = ServerOptions(enable_batching=True, batching_parameters_file=str(file), grpc_max_threads=8)
        with LocalServer(tmp_path / "models", rest=True, options=options) as server:
            stubs = connect(server.target)
            request = predict_request("gen", {"noise": np.ones((1, 4), np.float32)})
            body = json.dumps({"instances": [[1, 1, 1, 1]]}).encode()
            url = f"{server.rest_url}/models/gen:predict"
            over_rest = [lambda: urlopen(Request(url, body), timeout=60).read()] * 4
            grpc_calls = [stubs.prediction.Predict.future(request, timeout=60) for _ in range(4)]
            with callers(*over_rest) as rest_calls:
                assert {len(json.loads(call.result())["predictions"]) for call in rest_calls} == {1}
            assert all(call.result() for call in grpc_calls)
