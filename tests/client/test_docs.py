"""What the documentation shows, run against a server."""

import ast
import asyncio
import doctest
import re
from pathlib import Path

import pytest

import gannet_client
from gannet_client import AsyncClient, Client

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ["docs/how-to/draw-images.md", "docs/how-to/build-a-robust-client.md"]
ADDRESS = "127.0.0.1:8500"


def run(source: str, target: str, name: str) -> None:
    """Runs a program, which may await, and closes what it opened by the end of its names."""
    port = target.rpartition(":")[2]
    program = source.replace(ADDRESS, target).replace("localhost:8500", f"localhost:{port}")
    names: dict[str, object] = {}
    done = eval(compile(program, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if done is not None:
        asyncio.run(done)
    for value in names.values():
        if isinstance(value, Client):
            value.close()


@pytest.mark.parametrize("page", [*PAGES, "README.md"])
def test_the_programs_of_a_page_run(
    real_target: str, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    run("\n".join(blocks), real_target, page)


@pytest.mark.parametrize(
    "documented", [gannet_client, Client, AsyncClient], ids=["package", "Client", "AsyncClient"]
)
def test_the_examples_of_docstrings_run_and_show_what_they_say(
    real_target: str, documented: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_examples(documented.__doc__ or "")
    assert any(doctest.SKIP in example.options for example in examples)
    imports = "from gannet_client import AsyncClient, Client\n"
    run(imports + "".join(map(as_statement, examples)), real_target, str(documented))


def as_statement(example: doctest.Example) -> str:
    if not example.want:
        return example.source
    expression = example.source.partition("  # doctest:")[0].strip()
    return f"assert repr({expression}) == {example.want.strip()!r}\n"
