"""What every request begins with: a ModelSpec, resolved to a version in memory."""

from contextlib import AbstractContextManager
from typing import Any

from gannet_serving.calls import Call
from gannet_serving.loaded import LoadedModel
from gannet_serving.manager import ModelManager
from gannet_serving.status import invalid


def require_model_spec(request: Any) -> Any:
    """The request's ModelSpec.

    Raises:
        StatusError: There is none.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def lease(manager: ModelManager, spec: Any, call: Call) -> "AbstractContextManager[tuple[int, LoadedModel]]":
    """Holds the version that `spec` asks for, by number, label or as the latest, in memory for one request.

    Raises:
        StatusError: The name is missing, the label unknown, or the version not AVAILABLE.
    """
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    if manager.knows(spec.name):
        call.model = spec.name
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        return manager.lease(spec.name, manager.labelled(spec.name, spec.version_label))
    return manager.lease(spec.name, spec.version.value if choice == "version" else None)
