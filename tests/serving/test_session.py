"""A SavedModel in a session: values, threads, memory, failures."""

import gc
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gannet_serving.engine import load_model
from gannet_serving.status import StatusError

NOISE = "serving_default_noise:0"


@pytest.fixture(scope="module")
def gen(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = saved_models.write_gen(tmp_path_factory.mktemp("gen") / "1")
    return path


@pytest.fixture
def copy(gen: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gen, tmp_path / "copy"))


@pytest.fixture(scope="module")
def session(gen: Path) -> Any:
    return load_model(gen)


def images_of(session: Any, noise: np.ndarray) -> np.ndarray:
    [images] = session.run({NOISE: noise}, [session.signatures["serving_default"].outputs["images"].name])
    return images


def count_live(class_name: str) -> int:
    """How many objects of TensorFlow's class of that name there are."""
    gc.collect()
    return sum(type(item).__name__ == class_name for item in gc.get_objects())


def test_the_private_name_stands_where_it_is_looked_for() -> None:
    import tensorflow as tf

    assert callable(tf.compat.v1.Session._make_callable_from_options)


def test_it_neither_casts_nor_checks_shapes(session: Any) -> None:
    """The reason to build on it: `Session.run` converts the one and refuses the other in words of its own."""
    with pytest.raises(StatusError, match=r"^INVALID_ARGUMENT: Expects arg\[0\] to be float but int64 is"):
        images_of(session, np.zeros((2, 4), np.int64))
    with pytest.raises(StatusError, match=r"^INVALID_ARGUMENT: Matrix size-incompatible: In\[0\]: \[2,5\]"):
        images_of(session, np.zeros((2, 5), np.float32))


def test_first_callers_at_once_and_many_more(session: Any, saved_models: Any) -> None:
    rows = [np.full((1, 4), number, np.float32) for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda noise: images_of(session, noise), rows))
    np.testing.assert_allclose(np.concatenate(answers), saved_models.images(np.concatenate(rows)), rtol=1e-5)


def test_a_repeated_output_is_computed_for_each(session: Any) -> None:
    name = session.signatures["serving_default"].outputs["images"].name
    first, second = session.run({NOISE: np.ones((1, 4), np.float32)}, [name, name])
    np.testing.assert_array_equal(first, second)


def test_selections_of_outputs_do_not_add_up_in_memory(session: Any) -> None:
    name = session.signatures["serving_default"].outputs["images"].name
    before = count_live("_Callable")
    for count in range(1, 100):
        session.run({NOISE: np.zeros((0, 4), np.float32)}, [name] * count)
    assert 0 < count_live("_Callable") - before < 80


def test_close_frees_the_graph(gen: Path) -> None:
    load_model(gen).close()  # the first time, TensorFlow makes a default graph, which stays
    before = count_live("Graph")
    session = load_model(gen)
    images_of(session, np.zeros((1, 4), np.float32))
    assert count_live("Graph") > before
    session.close()
    assert count_live("Graph") == before


def junk(directory: Path) -> None:
    (directory / "saved_model.pb").write_bytes(b"junk" * 100)


def cut_off(directory: Path) -> None:
    file = directory / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:500])


def empty(directory: Path) -> None:
    (directory / "saved_model.pb").write_bytes(b"")


def without_graph(directory: Path) -> None:
    (directory / "saved_model.pb").unlink()


def without_variables(directory: Path) -> None:
    shutil.rmtree(directory / "variables")


def variables_cut_off(directory: Path) -> None:
    (directory / "variables" / "variables.data-00000-of-00001").write_bytes(b"x" * 50)


def variables_damaged(directory: Path) -> None:
    file = directory / "variables" / "variables.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[10] ^= 0xFF
    file.write_bytes(content)


def index_damaged(directory: Path) -> None:
    (directory / "variables" / "variables.index").write_bytes(b"x" * 50)


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (junk, "OUT_OF_RANGE", "Read less bytes than requested"),
        (cut_off, "OUT_OF_RANGE", "Read less bytes than requested"),
        (empty, "NOT_FOUND", "Could not find meta graph def matching supplied tags: { serve }. To inspect"),
        (
            without_graph,
            "NOT_FOUND",
            "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
            "`saved_model.pb`)\nSpecified file path: ",
        ),
        (without_variables, "NOT_FOUND", "The passed save_path is not a valid checkpoint: "),
        (variables_cut_off, "OUT_OF_RANGE", "Read less bytes than requested"),
        (variables_damaged, "DATA_LOSS", "TensorBundle at "),
        (index_damaged, "DATA_LOSS", "not an sstable (bad magic number)"),
    ],
)
def test_broken_files(damage: Callable[[Path], None], code: str, message: str, copy: Path) -> None:
    damage(copy)
    with pytest.raises(StatusError) as caught:
        load_model(copy)
    assert (caught.value.code.name, caught.value.message[: len(message)]) == (code, message)


def test_a_file_in_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "7").write_text("not a model")
    with pytest.raises(StatusError, match="NOT_FOUND: Specified file path does not appear"):
        load_model(tmp_path / "7")
