"""Which TensorFlow Serving an image holds."""

import re

DEFAULT_IMAGE = "tensorflow/serving:2.20.0"
"""What is started and configured for unless another image is named."""

Release = tuple[int, int]
"""Major and minor number."""


def release_of(image: str) -> Release | None:
    """The release that the tag of an image of TensorFlow Serving names; None where it names none.

    Images of other names have numbers of their own.

    >>> release_of("registry.example/tensorflow/serving:2.20.0-gpu"), release_of("tensorflow/serving:latest")
    ((2, 20), None)
    >>> release_of("bitnami/tensorflow-serving:2.18.0"), release_of("ours/gan-serving:1.4")
    ((2, 18), None)
    """
    found = re.search(r"tensorflow[/-]serving:(\d+)\.(\d+)(?!\d)", image)
    return (int(found[1]), int(found[2])) if found else None


def is_older(image: str, exporting: str) -> bool:
    """Whether an image is of an older minor version than the TensorFlow that exported a model.

    >>> is_older("tensorflow/serving:2.20.0", "2.21.0"), is_older("tensorflow/serving:2.21.1", "2.21.0")
    (True, False)
    """
    release = release_of(image)
    found = re.match(r"(\d+)\.(\d+)", exporting)
    return bool(release and found and release < (int(found[1]), int(found[2])))
