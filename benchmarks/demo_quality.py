"""How good the demo's digits are, compared with real held-out digits.

A classifier learns three quarters of the real digits. It judges 1,000 seeds of the demo's model and the
held-out quarter: `ratio` is the share of generated samples that it is sure of (probability above 0.8) over
the same share of real ones. Run `make demo` first.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from gannet_client.errors import GannetError
from gannet_training import Run
from gannet_training.startup import start_tensorflow

SAMPLES = 1_000
SURE = 0.8
LEAST_ACCURACY, LEAST_RATIO, LEAST_PER_CLASS = 0.97, 0.7, 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, default=Path("demo/run"))
    start_tensorflow()
    from gannet_export import to_pixels
    from gannet_training import load, sample
    from gannet_training.data import open_data

    run = Run.open(parser.parse_args().run)
    real = open_data(run.config().data, image_size=run.config().image_size)
    pixels = to_pixels(real.fetch(np.arange(real.size))).numpy()
    train_x, held_x, train_y, held_y = train_test_split(
        features(pixels), real.labels, test_size=0.25, random_state=0, stratify=real.labels
    )
    # It stops at scikit-learn's default of 200 iterations and says so; its accuracy is what counts.
    warnings.simplefilter("ignore", ConvergenceWarning)
    classifier = MLPClassifier(random_state=0).fit(train_x, train_y)
    accuracy = classifier.score(held_x, held_y)
    model = load(run)
    drawn = classifier.predict_proba(features(sample(model.ema_generator, range(SAMPLES), model.latent_dim)))
    sure_real, sure_drawn = sure(classifier.predict_proba(held_x)), sure(drawn)
    per_class = np.bincount(drawn.argmax(axis=1), minlength=10).tolist()
    ratio = sure_drawn / sure_real
    detail = {
        "compared with": f"{len(held_x)} held-out real digits, of which the same classifier is sure",
        "steps": model.step,
        "sure_generated": round(sure_drawn, 4),
        "sure_real": round(sure_real, 4),
        "classifier_accuracy": round(accuracy, 4),
        "samples_per_class": per_class,
    }
    print(json.dumps({"name": "demo_quality", "ratio": round(ratio, 3), "unit": "1", "detail": detail}))
    good = accuracy >= LEAST_ACCURACY and ratio >= LEAST_RATIO and min(per_class) >= LEAST_PER_CLASS
    return 0 if good else 1


def features(pixels: np.ndarray) -> np.ndarray:
    """Flatten uint8 images to floats in [0, 1]."""
    return pixels.reshape(len(pixels), -1) / 255.0


def sure(probabilities: np.ndarray) -> float:
    """Share of rows whose best class has more than the probability `SURE`."""
    return float((probabilities.max(axis=1) > SURE).mean())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GannetError as error:
        sys.exit(f"demo_quality: {error}")
