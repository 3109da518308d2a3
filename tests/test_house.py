"""The arrows between the packages: data flows from training to the client, knowledge the other way."""

import ast
from importlib import import_module
from importlib.metadata import entry_points
from itertools import accumulate
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


def imported_at_once(module: str, seen: set[str]) -> set[str]:
    """Adds to `seen` what importing a module imports: its packages first, and from our own files in turn."""
    for name in accumulate(module.split("."), "{}.{}".format):
        if name in seen:
            continue
        seen.add(name)
        for node in statements(name):
            if isinstance(node, ast.Import | ast.ImportFrom):
                source = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                for alias in node.names:
                    imported_at_once(f"{source}{alias.name}", seen)
    return seen


def statements(module: str) -> list[ast.stmt]:
    """What runs when one of our own modules is imported; nothing of others."""
    folder = PACKAGES.get(module.partition(".")[0])
    path = folder and folder.joinpath(*module.split("."))
    files = (path / "__init__.py", path.with_suffix(".py")) if path else ()
    source = next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")
    return ast.parse(source).body


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_its_arrows_allow(package: str) -> None:
    found = imported(package)
    assert found & (PACKAGES.keys() - {package}) <= ALLOWED[package]
    assert found, "nothing was read"


def test_the_client_knows_no_tensorflow() -> None:
    assert not imported("gannet_client") & TENSORFLOW


@pytest.mark.parametrize("module", ["publication", "collection", "commands.models", "commands.texts"])
def test_versions_are_published_and_removed_without_tensorflow(module: str) -> None:
    found = imported_at_once(f"gannet_export.{module}", set())
    assert {"gannet_export", "gannet_export.noise"} <= found
    assert not found & TENSORFLOW
    assert "tensorflow" in imported_at_once("gannet_export.exporting", set())


def test_every_command_of_the_distribution_can_be_loaded() -> None:
    commands = {entry.name: entry.load() for entry in entry_points(group="gannet.commands")}
    assert {"train", "sample", "export", "serve", "generate"} <= commands.keys()
    assert all(command.name == name for name, command in commands.items())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    module = import_module(package)
    assert all(hasattr(module, name) for name in getattr(module, "__all__", []))
