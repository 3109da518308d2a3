"""The arrows between the packages: data flows from training to the client, knowledge the other way."""

import ast
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "gannet_client": ROOT / "client",
    "gannet_export": ROOT / "export",
    "gannet_serving": ROOT / "serving",
    "gannet_training": ROOT / "training",
}
ALLOWED = {
    "gannet_client": set(),
    "gannet_export": {"gannet_client"},
    "gannet_serving": {"gannet_client"},
    "gannet_training": {"gannet_client", "gannet_export"},
}
TENSORFLOW = {"tensorflow", "tensorflow_serving", "keras", "tensorboard"}


def imported(package: str) -> set[str]:
    """The top-level names that any file of a package imports, wherever the import stands."""
    names: set[str] = set()
    for file in (PACKAGES[package] / package).rglob("*.py*"):
        if file.suffix not in (".py", ".pyi"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0] if node.level == 0 else package)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
                "import_module",
                "__import__",
            ):
                names |= {
                    str(argument.value).partition(".")[0]
                    for argument in node.args
                    if isinstance(argument, ast.Constant)
                }
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_its_arrows_allow(package: str) -> None:
    found = imported(package)
    assert found & (PACKAGES.keys() - {package}) <= ALLOWED[package]
    assert found, "nothing was read"


def test_the_client_knows_no_tensorflow() -> None:
    assert not imported("gannet_client") & TENSORFLOW


def test_every_command_of_the_distribution_can_be_loaded() -> None:
    commands = {entry.name: entry.load() for entry in entry_points(group="gannet.commands")}
    assert {"train", "sample", "export", "serve", "generate"} <= commands.keys()
    assert all(command.name == name for name, command in commands.items())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    module = import_module(package)
    assert all(hasattr(module, name) for name in getattr(module, "__all__", []))
