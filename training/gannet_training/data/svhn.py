"""Street View House Numbers, cropped digits, from `train_32x32.mat`."""

from pathlib import Path

import numpy as np

from gannet_training.data.arrays import from_pixels, numbered
from gannet_training.data.download import Published
from gannet_training.data.errors import DataError
from gannet_training.data.known import fetch, find
from gannet_training.data.source import ImageSource

_SIDE, _CLASSES = 32, 10
CLASS_NAMES = numbered(_CLASSES)
_FILE = Published(
    "train_32x32.mat",
    "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
    182_040_794,
    # As in torchvision (torchvision/prototype/datasets/_builtin/svhn.py).
    "sha256:435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
)


def open_svhn(image_size: int, root: Path | None = None) -> ImageSource:
    """Open the 73,257 training images of SVHN, format 2.

    Source: Y. Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011.

    Raises:
        DataError: the file is damaged, or missing and cannot be downloaded.
    """
    path = find("svhn", [_FILE.name], root) or fetch("svhn", _FILE, root)
    images, labels = _read(path)
    return from_pixels(images, labels, CLASS_NAMES, image_size)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"].ravel()
    except Exception as error:  # on broken bytes, the parser raises whatever it runs into
        reason = " ".join(str(error).split())
        raise DataError(f"cannot read {path}: {reason}; delete it and it is downloaded again") from error
    if not (
        images.dtype == np.uint8
        and images.ndim == 4
        and images.shape == (_SIDE, _SIDE, 3, len(labels))
        and labels.dtype.kind in "iu"
        and len(labels) > 0
        and 0 <= labels.min() <= labels.max() <= _CLASSES
    ):
        raise DataError(
            f"{path}: expected X uint8 [{_SIDE}, {_SIDE}, 3, N] and y [N, 1] from 1 to {_CLASSES}, "
            f"received {images.dtype} {list(images.shape)} and {labels.dtype} {list(content['y'].shape)}; "
            "put the published file in its place"
        )
    return images.transpose(3, 0, 1, 2), labels % _CLASSES  # the file calls the digit 0 class 10
