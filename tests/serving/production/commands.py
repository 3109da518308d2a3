"""Commands as a test calls them."""

import json
from collections.abc import Callable

from click.testing import CliRunner, Result

from gannet_serving.commands.doctor import doctor

Render = Callable[..., Result]
"""`gannet serving render` with the text of the settings and further options: the fixture `render`."""


def examine(*arguments: object) -> Result:
    """Runs `gannet doctor`."""
    return CliRunner().invoke(doctor, [str(argument) for argument in arguments], standalone_mode=False)


def findings(*arguments: object) -> list[tuple[str, str]]:
    """Level and text of each finding; the exit code is 1 if one is an error."""
    result = examine(*arguments, "--json")
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert result.return_value == int(any(finding["level"] == "error" for finding in found))
    return [(finding["level"], finding["what"]) for finding in found]
