"""One model: keeps what is in memory in step with its configuration and with what lies on disk."""

from collections.abc import Mapping
from pathlib import Path

from gannet_serving.config import ModelConfig
from gannet_serving.loads import Loads
from gannet_serving.servables import Servable, Servables, State
from gannet_serving.versions import find_versions, fingerprint

_BEING_LOADED = (State.START, State.LOADING)


class Model:
    """Serves the versions that the model's configuration wants.

    A new version takes over once it is AVAILABLE; the one before it is freed after its last request. A
    version that fails to load leaves the next lower one in charge, and is tried again when its files change:
    TensorFlow Serving instead ends when that happens at start, and later never tries again.

    Only `configure` and `is_settled` are for any thread, the others for one at a time.

    Attributes:
        servables: The versions in memory.
    """

    def __init__(self, servables: Servables, loads: Loads) -> None:
        self.servables = servables
        self._loads = loads
        self._config: ModelConfig | None = None
        self._looked_for: ModelConfig | None = None
        self._found: Mapping[int, Path] = {}

    def configure(self, config: ModelConfig | None) -> None:
        """Sets what is wanted from the next look on; None: no version at all."""
        self._config = config

    @property
    def is_followed(self) -> bool:
        """Whether there is a directory to look at."""
        return self._config is not None

    @property
    def has_new_config(self) -> bool:
        """Whether nobody has looked for what is wanted now."""
        return self._config is not self._looked_for

    def is_settled(self) -> bool:
        """Whether the highest wanted version that can be loaded is AVAILABLE, or every one has failed."""
        if self.has_new_config or not self.is_followed:
            return not self.has_new_config
        current = {servable.number: servable for servable in self.servables.current()}
        states = []
        for number, path in self._wanted().items():
            servable = current.get(number)
            if servable is None or servable.path != path:
                return False
            if not _is_broken(servable):
                return servable.state is State.AVAILABLE
            states.append(servable.state)
        return set(states) == {State.END}

    def sync(self) -> bool:
        """Looks at the directory, then loads and unloads what is asked for.

        Returns:
            Whether the directory has any wanted version; where it has none, nothing is served any more.

        Raises:
            OSError: The directory is missing or cannot be read; what was served is served on.
        """
        has_any = self.look()
        self.act()
        return has_any

    def look(self) -> bool:
        """Looks at the directory; returns and raises what `sync` does."""
        config = self._config
        found = find_versions(config.base_path) if config else {}
        self._found, self._looked_for = found, config
        for servable in self.servables.current():
            path = found.get(servable.number)
            if _is_broken(servable) and (path is None or fingerprint(path) != servable.files):
                servable.given_up.set()
        return bool(self._wanted())

    def act(self) -> None:
        """Does what the last look asks for, in TensorFlow Serving's order: the highest version first."""
        while True:
            wanted = self._wanted()
            self._retire_all_but(wanted)
            self._give_up_all_but(wanted)
            current = {servable.number: servable for servable in self.servables.current()}
            missing = {n: path for n, path in wanted.items() if not _is_held(current.get(n), path)}
            if not missing:
                return
            for number, path in missing.items():
                servable = self.servables.begin(number, path, fingerprint(path))
                self._loads.begin(self.servables, servable)

    def _give_up_all_but(self, wanted: Mapping[int, Path]) -> None:
        for servable in self.servables.current():
            if servable.state in _BEING_LOADED and wanted.get(servable.number) != servable.path:
                servable.given_up.set()

    def _wanted(self) -> dict[int, Path]:
        """The wanted versions, the highest first."""
        found, config = self._found, self._looked_for
        if config is None:
            return {}
        broken = {servable.number for servable in self.servables.current() if _is_broken(servable)}
        return {number: found[number] for number in config.policy.wanted(found, broken)}

    def _retire_all_but(self, wanted: Mapping[int, Path]) -> None:
        """Keeps one that is not wanted as long as no wanted one serves."""
        serving = self.servables.serving()
        surplus = [servable for servable in serving if wanted.get(servable.number) != servable.path]
        if wanted and len(surplus) == len(serving):
            surplus = surplus[:-1]
        self.servables.retire(surplus)


def _is_broken(servable: Servable) -> bool:
    """Whether its files could not be loaded as they were."""
    return servable.failure is not None and not servable.given_up.is_set()


def _is_held(servable: Servable | None, path: Path) -> bool:
    """Whether `servable` is, will be or cannot become what `path` asks for."""
    if servable is None or servable.path != path:
        return False
    is_coming = servable.state in _BEING_LOADED and not servable.given_up.is_set()
    return servable.state is State.AVAILABLE or is_coming or _is_broken(servable)
