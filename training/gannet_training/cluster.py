"""The machines of a job: what `TF_CONFIG` says, checked before anything starts."""

import contextlib
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gannet_client.errors import UsageError

VARIABLE = "TF_CONFIG"
_ROLES = ("chief", "worker")
"""In the order of the ranks. Without a chief, worker 0 is it."""
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s/\[\]]+)):(?P<port>[0-9]{1,5})")
_MOST_SHOWN = 80
_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One process of the job."""

    role: str
    index: int
    address: str

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"{self.role} {self.index} ({self.address})"

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The address in two parts."""
        match = _ADDRESS.fullmatch(self.address)
        assert match  # checked when it was read
        return match["ipv6"] or match["host"], int(match["port"])


@dataclass(frozen=True)
class Cluster:
    """All processes of a job.

    Attributes:
        tasks: by rank; the first is the chief.
        rank: of this process.
    """

    tasks: tuple[Task, ...]
    rank: int

    @property
    def task(self) -> Task:
        """This process."""
        return self.tasks[self.rank]

    @property
    def chief(self) -> Task:
        """The one that writes."""
        return self.tasks[0]

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def others(self) -> tuple[Task, ...]:
        """All processes but this one."""
        return tuple(task for task in self.tasks if task != self.task)


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Read `TF_CONFIG`.

    Args:
        environment: that may hold it.

    Returns:
        The cluster; None if the variable is missing or empty.

    Raises:
        UsageError: it is no JSON, contradicts itself, or speaks of roles that do not train.

    Example:
        >>> text = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
        >>> cluster = read_cluster({"TF_CONFIG": text})
        >>> cluster.task.name, cluster.chief.name, cluster.is_chief
        ('worker 1 (b:1)', 'worker 0 (a:1)', False)
    """
    text = environment.get(VARIABLE, "")
    if not text.strip():
        return None
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _wrong(f"JSON such as {_EXAMPLE}", text) from error
    roles = _section(config, "cluster", text)
    tasks = tuple(_tasks(roles))
    if not tasks:
        raise _wrong('a "cluster" of chief and worker', roles)
    twice = [task.address for task in tasks if [other.address for other in tasks].count(task.address) > 1]
    if twice:
        raise _wrong("an address of its own for each task", f"{twice[0]} twice")
    return Cluster(tasks, _rank(_section(config, "task", text), tasks))


def require_cluster() -> Cluster:
    """Read `TF_CONFIG`, which must be there.

    Raises:
        UsageError: it is missing, or wrong as in :func:`read_cluster`.
    """
    cluster = read_cluster()
    if cluster is None:
        raise UsageError(
            f"the strategy multiworker expects {VARIABLE} in the environment of every worker, received none; "
            f"set it, for example to {_EXAMPLE}"
        )
    return cluster


def choose_cluster(strategy: str) -> Cluster | None:
    """Find the cluster that a strategy trains on.

    Args:
        strategy: "multiworker" needs one, "auto" takes one of several workers, any other name takes none.

    Raises:
        UsageError: see :func:`require_cluster`.
    """
    if strategy == "multiworker":
        return require_cluster()
    cluster = read_cluster() if strategy == "auto" else None
    return cluster if cluster and cluster.others else None


def warn_of_unused_cluster(strategy: str) -> None:
    """Say so where several workers are named, and a strategy trains on one alone."""
    with contextlib.suppress(UsageError):
        cluster = read_cluster()
        if cluster and cluster.others:
            log.warning(
                "%s names %d workers, but the strategy %s trains on this one alone; "
                "use --strategy multiworker to train on all",
                *(VARIABLE, len(cluster.tasks), strategy),
            )


def _section(config: Any, name: str, text: str) -> dict[str, Any]:
    section = config.get(name) if isinstance(config, dict) else None
    if not isinstance(section, dict):
        raise _wrong(f'an object "{name}"', text)
    return section


def _tasks(roles: dict[str, Any]) -> list[Task]:
    unknown = sorted(roles.keys() - set(_ROLES))
    if unknown:
        raise _wrong("a cluster of chief and worker alone", unknown[0])
    if isinstance(roles.get("chief"), list) and len(roles["chief"]) > 1:
        raise _wrong("one chief at most", roles["chief"])
    return [
        Task(role, index, _address(address))
        for role in _ROLES
        for index, address in enumerate(_addresses(roles.get(role, [])))
    ]


def _addresses(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise _wrong("a list of addresses for each role", found)
    return found


def _address(found: Any) -> str:
    match = _ADDRESS.fullmatch(found) if isinstance(found, str) else None
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise _wrong("every address as host:port", found)
    return match[0]


def _rank(task: dict[str, Any], tasks: tuple[Task, ...]) -> int:
    role, index = task.get("type"), task.get("index")
    of_role = [candidate for candidate in tasks if candidate.role == role]
    if not of_role:
        raise _wrong(f'a task "type" that the cluster has ({", ".join({t.role: 0 for t in tasks})})', role)
    if not str(index).isdecimal() or int(str(index)) >= len(of_role):
        raise _wrong(f'a task "index" from 0 to {len(of_role) - 1} for {role}', index)
    return tasks.index(of_role[int(str(index))])


def _wrong(expected: str, received: object) -> UsageError:
    shown = received if isinstance(received, str) else json.dumps(received)
    if len(shown) > _MOST_SHOWN:
        shown = f"{shown[:_MOST_SHOWN]}..."
    return UsageError(f"{VARIABLE}: expected {expected}, received {shown!a}; correct it on this worker")
