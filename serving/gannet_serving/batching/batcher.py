"""The batching of a server: which versions have it, and the threads that they share."""

from collections import Counter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from gannet_client.errors import UsageError
from gannet_serving.batching.lane import LaneName, Observer
from gannet_serving.batching.parameters import PARAMETERS_FILE, BatchingParameters, read_parameters
from gannet_serving.batching.scheduler import Scheduler
from gannet_serving.batching.session import BatchingSession
from gannet_serving.loaded import LoadedModel
from gannet_serving.options import ServerOptions
from gannet_serving.status import StatusError
from gannet_serving.versions import Version

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession


class Batcher:
    """Wraps sessions so that their requests are merged."""

    def __init__(self, options: ServerOptions, observe: Observer = lambda run: None) -> None:
        """Reads the parameters.

        Args:
            options: Tell where they are.
            observe: Is told of each batch.

        Raises:
            UsageError: They are refused.
        """
        self._common = _common_parameters(options.batching_parameters_file)
        self._is_per_model = options.enable_per_model_batching_parameters
        self._scheduler = Scheduler(self._common.num_batch_threads, self._common.thread_pool_name)
        self._observe = observe
        self._sessions: WeakSet[BatchingSession] = WeakSet()
        self._lock = Lock()

    def wrap(self, session: "ModelSession", version: Version) -> LoadedModel:
        """What merges the requests for `session`; the session itself if its version is not to be batched.

        Raises:
            StatusError: The version's own parameters are refused.
        """
        parameters = self._parameters(version.path)
        if parameters is None:
            return session
        batching = BatchingSession(session, version, parameters, self._scheduler, self._observe)
        with self._lock:
            self._sessions.add(batching)
        return batching

    def queue_lengths(self) -> dict[LaneName, int]:
        """How many requests, or parts of large ones, wait to be run; for whatever was asked for lately."""
        with self._lock:
            sessions = list(self._sessions)
        lengths = Counter[LaneName]()
        for session in sessions:
            for name, length in session.queue_lengths():
                lengths[name] += length
        return dict(lengths)

    def _parameters(self, directory: Path) -> BatchingParameters | None:
        if not self._is_per_model:
            return self._common
        file = directory / PARAMETERS_FILE
        return read_parameters(file) if file.exists() else None


def _common_parameters(file: str) -> BatchingParameters:
    try:
        return read_parameters(Path(file)) if file else BatchingParameters()
    except StatusError as error:
        raise UsageError(f"--batching_parameters_file: {error.message}") from None
