"""The tutorials are run as they stand."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parent.parent.parent / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|toml))\n")


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.stem)
def test_every_block_runs(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gannet: Callable[..., tuple[int, str, str]],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {}
    kinds = []
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        kinds.append(kind)
        if file := FILE.match(text):
            Path(file[1]).write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(compile(text, f"{page.name}", "exec"), names)
        elif kind == "sh":
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "gannet"
                code, _, error = gannet(*arguments)
                assert code == 0, f"{line}\n{error}"
    assert {"python", "sh"} <= set(kinds)
    assert sorted(version.name for version in Path("models/disks").iterdir()) == ["1", "2"]
