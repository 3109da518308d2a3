"""The names that training, export, serving and client share: each stands here and nowhere else.

Signatures of a noise-to-image model. Every input and output is batch-first and of rank at least 1, because
TensorFlow Serving merges requests along dimension 0 and refuses scalars; zero rows are legal everywhere.

================== ========================= =======================================================
signature          inputs                    outputs
================== ========================= =======================================================
``serving_default``  ``noise`` float32 [B, Z]  ``images`` float32 [B, H, W, C] in [-1, 1]
``pixels``           ``noise``                 ``pixels`` uint8 [B, H, W, C], see :data:`PIXELS`
``png``              ``noise``                 ``png`` string [B], one PNG file each
``latents``          ``seeds`` int64 [B]       ``noise`` float32 [B, Z]
``seeded_pixels``    ``seeds`` int64 [B]       ``pixels``
``seeded_png``       ``seeds`` int64 [B]       ``png``
``card``             ``rows`` int64 [B]        ``card`` string [B], the model card as JSON
================== ========================= =======================================================

The conditions that a model's card lists are further required inputs of each of its image signatures:
in this order ``labels`` int64 [B], ``codes`` float32 [B, K] and ``truncation`` float32 [B].
"""

from collections.abc import Sequence
from typing import Final

# Signatures.
SERVING_DEFAULT: Final = "serving_default"
PIXELS: Final = "pixels"
"""``clip(round((images + 1) * 127.5), 0, 255)`` as uint8; also the name of the output."""
PNG: Final = "png"
LATENTS: Final = "latents"
SEEDED_PIXELS: Final = "seeded_pixels"
SEEDED_PNG: Final = "seeded_png"
CARD: Final = "card"
SIGNATURES: Final = (SERVING_DEFAULT, PIXELS, PNG, LATENTS, SEEDED_PIXELS, SEEDED_PNG, CARD)

# Tensors that are not named like their signature.
NOISE: Final = "noise"
IMAGES: Final = "images"
SEEDS: Final = "seeds"
ROWS: Final = "rows"

# Conditions.
LABELS: Final = "labels"
"""The class of each row, from 0 to K - 1, or :data:`ANY_CLASS`. A row of any other label is black, and NaN in
``images``: an error would be that of its neighbours as well."""
ANY_CLASS: Final = -1
"""The class is drawn, evenly over all, from the row's seed, or from its noise where there is no seed."""
CODES: Final = "codes"
"""Continuous codes, as InfoGAN has them, usually in [-1, 1]. A NaN one is drawn, evenly over [-1, 1], from
the row's seed, or from its noise where there is no seed. A row with an infinite one is black."""
TRUNCATION: Final = "truncation"
"""How far a row goes from the average latent: 0 is the average, :data:`NO_TRUNCATION` the row's own. A row
whose value is not finite is black."""
NO_TRUNCATION: Final = 1.0
CONDITIONS: Final = (LABELS, CODES, TRUNCATION)
"""In the order in which a generator takes them, behind its noise."""

# Files of a version directory, relative to `<models>/<name>/<version>/`.
CARD_FILE: Final = "assets.extra/gannet.json"
WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
"""Requests that TensorFlow Serving plays before it says AVAILABLE: TFRecords of PredictionLog."""
CARD_FORMAT: Final = 1
"""The one `format` of a model card that this release reads; any other is refused."""

LABELS_FILE: Final = "labels.json"
"""Beside the versions of a model: the version of each label, like ``{"stable": 3, "canary": 4}``."""

STAGING_PREFIX: Final = ".staging-"
"""A version under construction: not a number, therefore invisible to every server."""

# Services, in gRPC's own spelling.
PREDICTION_SERVICE: Final = "tensorflow.serving.PredictionService"
MODEL_SERVICE: Final = "tensorflow.serving.ModelService"
SIGNATURE_DEF: Final = "signature_def"
"""The one metadata field that TensorFlow Serving knows."""

GRPC_PORT: Final = 8500
REST_PORT: Final = 8501
LOOPBACK: Final = "127.0.0.1"


def inputs(signature: str, conditions: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of a signature's inputs.

    Args:
        signature: One of `SIGNATURES`.
        conditions: Those of the model, as its card names them.

    >>> inputs(SEEDED_PNG, [LABELS])
    ('seeds', 'labels')
    >>> inputs(LATENTS, [LABELS])
    ('seeds',)
    """
    if signature == CARD:
        return (ROWS,)
    if signature == LATENTS:
        return (SEEDS,)
    return (SEEDS if signature in (SEEDED_PIXELS, SEEDED_PNG) else NOISE, *conditions)
