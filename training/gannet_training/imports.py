"""Objects of the user's own code, named as `package.module:attribute`."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gannet_client.errors import UsageError


def is_reference(name: str) -> bool:
    """Tell whether a name points into the user's code.

    Example:
        >>> is_reference("my_package.models:factory"), is_reference("dcgan"), is_reference("folder:/a.b")
        (True, False, False)
    """
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")])


def load_callable(reference: str) -> Callable[..., Any]:
    """Import what a reference names, also from the current directory.

    Raises:
        UsageError: there is no such module or attribute, or it cannot be called. What the module itself
            raises on import passes through: it is the user's to see.

    Example:
        >>> load_callable("math:sqrt")(9)
        3.0
    """
    module, _, attribute = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(
            f"cannot find the module '{module}' of {reference}, looked in {here} and sys.path"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"the module '{module}' has no '{attribute}', received {reference}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"expected something to call, received {reference}, a {type(found).__name__}")
    return found
