"""Models with classes: what the client sends for a choice, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client import Client, ModelError, RequestRejected, UsageError
from gannet_client.conditions import resolve_labels

AVAILABLE, END = 30, 50
# The names of some are the numbers of others.
NAMES = ["cat", "dog", "0", "größe"]


@pytest.fixture
def client(target: str, fake: Any) -> Any:
    fake.classes = {1: NAMES}
    with Client(target, model="digits") as client:
        yield client


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (None, [-1, -1, -1]),
        ("dog", [1, 1, 1]),
        (3, [3, 3, 3]),
        (np.int32(2), [2, 2, 2]),
        (-1, [-1, -1, -1]),
        ("0", [2, 2, 2]),
        ("1", [1, 1, 1]),
        (["cat", 3, -1], [0, 3, -1]),
        (np.array([2, 1, 0]), [2, 1, 0]),
        (("größe", "cat", "dog"), [3, 0, 1]),
    ],
)
def test_a_choice_of_classes(client: Client, drawn_of_classes: Any, classes: Any, labels: list[int]) -> None:
    images = client.generate(3, seed=5, classes=classes)
    assert images.classes.dtype == np.int64
    assert images.classes.tolist() == labels
    assert np.array_equal(images.array, drawn_of_classes([5, 6, 7], labels, 1))


def test_every_piece_has_its_own_labels(client: Client, drawn_of_classes: Any) -> None:
    labels = np.arange(150) % 4
    images = client.generate(150, seed=0, classes=labels)
    assert np.array_equal(images.array, drawn_of_classes(range(150), labels, 1))


def test_no_image_at_all(client: Client) -> None:
    for classes in (None, "dog", []):
        images = client.generate(0, classes=classes)
        assert images.array.shape == (0, 6, 5, 3)
        assert images.classes.tolist() == []


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("bird", "has no class 'bird'; expected one of: cat, dog, 0, größe, or a number from 0 to 3"),
        (4, "has no class 4; expected one of"),
        (-2, "has no class -2"),
        ("4", "has no class '4'"),
        ("-2", "has no class '-2'"),
        (0.5, "has no class 0.5"),
        ("", "has no class ''"),
        ([None, 1, 1], "has no class None"),
        (["dog", "bird", "cat"], "has no class 'bird'"),
        (["dog", "cat"], "expected one class for all 3 images or one for each; received 2"),
        ([], "received 0"),
    ],
)
def test_a_choice_that_is_none(client: Client, fake: Any, classes: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        client.generate(3, seed=5, classes=classes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [request.model_spec.signature_name for request in fake.requests] == ["card"]


def test_many_classes_are_not_all_listed() -> None:
    with pytest.raises(UsageError, match=r"one of: 10, 11, .*, 29, \.\.\., or a number from 0 to 999$"):
        resolve_labels("x", [str(number + 10) for number in range(1000)], 1, "the model")


def test_a_model_without_classes_takes_none(client: Client, fake: Any) -> None:
    fake.classes = {}
    with pytest.raises(UsageError, match=r"^model 'digits' version 1 has no classes; leave them out$"):
        client.generate(3, classes=1)
    assert client.generate(3).classes is None


def test_a_condition_of_the_future_is_refused(client: Client, fake: Any) -> None:
    fake.classes, fake.card["conditions"] = {}, ["text"]
    with pytest.raises(
        ModelError, match="version 1 takes text; this release knows labels, codes, truncation alone"
    ):
        client.generate(3)


def test_the_card_is_asked_for_once(client: Client, fake: Any) -> None:
    for _ in range(3):
        client.generate(3, classes="dog")
    asked = [request.model_spec.signature_name for request in fake.requests]
    assert asked == ["card", *["seeded_pixels"] * 3]


@pytest.mark.parametrize(
    ("before", "after"),
    [(NAMES, NAMES[::-1]), ([], NAMES), (NAMES, []), (NAMES[:1], NAMES), (NAMES, NAMES[:1])],
)
def test_a_new_version_may_have_other_classes(
    client: Client, fake: Any, drawn_of_classes: Any, before: list[str], after: list[str]
) -> None:
    fake.classes = {version: names for version, names in ((1, before), (2, after)) if names}
    for version, names in ((1, before), (2, after), (1, before)):
        fake.states = {1: AVAILABLE, 2: AVAILABLE if version == 2 else END}
        for name in [None, *names]:
            images = client.generate(2, seed=5, classes=name)
            label = names.index(name) if name else -1
            assert images.version == version
            assert np.array_equal(images.array, drawn_of_classes([5, 6], label, version))
        with pytest.raises(UsageError, match="has no class"):
            client.generate(2, seed=5, classes="bird")


def test_a_refusal_of_the_server_is_told(client: Client, fake: Any) -> None:
    client.generate(1)

    def refuse(seeds: Any, version: int) -> np.ndarray:
        raise ValueError

    fake.pixels = refuse
    with pytest.raises(RequestRejected, match="UNKNOWN"):
        client.generate(1)


@given(st.lists(st.text(max_size=5), min_size=1, unique=True), st.data())
def test_every_name_and_every_number_leads_to_its_class(names: list[str], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=1))
    for choice in (labels, [names[label] for label in labels]):
        resolved = resolve_labels(choice, names, len(labels), "the model")
        assert resolved is not None and resolved.tolist() == labels


def generate(gannet: Any, target: str, *arguments: object) -> Any:
    return gannet("generate", "--server", target, "--model", "digits", *arguments)


@pytest.mark.parametrize(
    ("given_classes", "names"),
    [
        ([], ["seed0007.png", "seed0008.png"]),
        (["dog"], ["seed0007-class1.png", "seed0008-class1.png"]),
        (["3", "-1"], ["seed0007-class3.png", "seed0008.png"]),
    ],
)
def test_the_command(
    client: Client, gannet: Any, target: str, tmp_path: Path, given_classes: list[str], names: list[str]
) -> None:
    options = [part for name in given_classes for part in ("--class", name)]
    code, _, error = generate(gannet, target, "--seeds", "7-8", "--out", tmp_path, *options)
    assert code == 0, error
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_the_same_seed_in_several_classes(client: Client, gannet: Any, target: str, tmp_path: Path) -> None:
    classes = [part for name in NAMES for part in ("--class", name)]
    code, out, _ = generate(gannet, target, "--seeds", "7,7,7,7", "--out", tmp_path, *classes)
    assert (code, out.splitlines()[1]) == (0, f"wrote 4 files to {tmp_path}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "bird"], "has no class 'bird'"),
        (["--class", "cat", "--class", "dog"], "one class for all 3 images or one for each; received 2"),
    ],
)
def test_a_class_that_the_command_refuses(
    client: Client, gannet: Any, target: str, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, out, error = generate(gannet, target, "--seeds", "0-2", "--out", tmp_path, *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert message in error
    assert list(tmp_path.iterdir()) == []
