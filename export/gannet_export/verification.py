"""Whether a version on disk is still the one that was published."""

import hashlib
from pathlib import Path

from gannet_client import contract
from gannet_client.errors import ModelError
from gannet_export.regular import regular
from gannet_export.repository import read_card


def wrong_files(directory: Path) -> list[str]:
    """Read every file of a version again, and tell how it differs from what the card says.

    Args:
        directory: of the version.

    Returns:
        A line for each file that is missing, has changed, cannot be read or is not the card's; empty if all
        is right.
    """
    try:
        expected = read_card(directory).get("files")
    except ModelError as error:
        return [str(error)]
    if not isinstance(expected, dict):
        return ["the model card lists no files"]
    found = {path.relative_to(directory).as_posix(): path for path in _files(directory)}
    found.pop(contract.CARD_FILE, None)
    return [
        trouble
        for name in sorted(expected.keys() | found.keys())
        if (trouble := _trouble(name, expected.get(name), found.get(name)))
    ]


def wrong_graph(directory: Path) -> list[str]:
    """Load a version as TensorFlow Serving does, in a v1 Session with the tag `serve`.

    Args:
        directory: of the version. Loading runs what its graph asks for: it must come from somebody trusted.

    Returns:
        A line if it does not load, or lacks signatures of the contract; empty if all is right.
    """
    strange = [path for path in _files(directory) if path.is_symlink() or not path.is_file()]
    if strange:
        name = strange[0].relative_to(directory).as_posix()
        return [f"the graph is not loaded: {name} is no regular file"]
    import tensorflow as tf

    from gannet_export.processor import cpu_session

    try:
        with tf.Graph().as_default() as graph, cpu_session(graph) as session:
            loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(directory))
    except Exception as error:  # broken files make the loader raise just about anything
        reason = (str(error).splitlines() or [repr(error)])[0]
        return [f"the graph does not load in the Session that TensorFlow Serving uses: {reason}"]
    missing = [name for name in contract.SIGNATURES if name not in loaded.signature_def]
    return [f"the graph lacks the signatures {', '.join(missing)}"] if missing else []


def _files(directory: Path) -> list[Path]:
    """Whatever is no directory: a link to one is as foreign as a device."""
    return sorted(path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())


def _trouble(name: str, expected: object, path: Path | None) -> str:
    if path is None:
        return f"{name} is missing"
    if expected is None:
        return f"{name} is extra: the model card does not list it"
    try:
        with open(path, "rb", opener=regular) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    return "" if found == expected else f"{name} has changed: expected sha256 {expected!s:.64}, found {found}"
