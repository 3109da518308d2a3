"""The run directory: refused when it holds something else, continued when it holds the same."""

import io
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gannet_client.errors import GannetError, ModelError, UsageError
from gannet_training.config import TrainConfig
from gannet_training.run import Run
from gannet_training.storage import PARTIAL
from gannet_training.trainer import train


@pytest.fixture
def run(tmp_path: Path, config: TrainConfig) -> Run:
    return Run.prepare(tmp_path / "Läufe" / "a run", config)


def test_it_keeps_the_configuration(run: Run, config: TrainConfig) -> None:
    assert Run.open(run.path).config() == config


def test_another_configuration_is_refused_with_every_difference(run: Run, config: TrainConfig) -> None:
    other = config.model_copy(update={"batch_size": 32, "seed": 5})
    with pytest.raises(UsageError, match=r"batch_size 16 there, 32 here; seed 0 there, 5 here") as refusal:
        Run.prepare(run.path, other)
    assert "--fresh" in str(refusal.value)
    assert run.config() == config


def test_fresh_starts_anew(run: Run, config: TrainConfig) -> None:
    (run.samples / "step-00000001.png").write_bytes(b"")
    other = config.model_copy(update={"seed": 5})
    Run.prepare(run.path, other, fresh=True)
    assert run.config() == other
    assert not list(run.samples.iterdir())


def test_what_a_killed_process_left_half_written_is_deleted(run: Run, config: TrainConfig) -> None:
    for directory in (run.path, run.path / "checkpoints"):
        (directory / f"{PARTIAL}123").write_bytes(b"half")
    Run.prepare(run.path, config)
    assert not list(run.path.rglob(f"{PARTIAL}*"))


def test_more_steps_continue_a_run(run: Run, config: TrainConfig) -> None:
    longer = config.model_copy(update={"steps": 40})
    assert Run.prepare(run.path, longer).config() == longer


@pytest.mark.parametrize("fresh", [False, True])
def test_a_directory_of_something_else_is_left_alone(
    tmp_path: Path, config: TrainConfig, fresh: bool
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="not a run directory"):
        Run.prepare(tmp_path, config, fresh=fresh)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_file_in_its_place_is_one_line(tmp_path: Path, config: TrainConfig) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UsageError, match=rf"^cannot use {path} as a run directory: Not a directory"):
            Run.prepare(path, config)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model": "dcgan"}'])
def test_a_damaged_configuration_says_so(run: Run, config: TrainConfig, text: str) -> None:
    (run.path / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"cannot read .*config\.json.*expected what"):
        Run.prepare(run.path, config)


def test_no_run_and_no_checkpoint_are_told_apart(tmp_path: Path, run: Run) -> None:
    with pytest.raises(UsageError, match="is not a run directory"):
        Run.open(tmp_path)
    with pytest.raises(ModelError, match="no checkpoint yet"):
        run.latest_checkpoint()


class Weights:
    """A model of so many bytes."""

    def __init__(self, size: int = 10) -> None:
        self.size = size

    def save_weights(self, file: io.BytesIO) -> None:
        assert str(file).endswith(".weights.h5")
        file.write(bytes(self.size))


def test_the_last_three_checkpoints_are_kept(run: Run) -> None:
    for step in (5, 10, 200_000_000, 15):
        run.save_checkpoint(Weights(), step)
    (run.path / "checkpoints" / "step-final.weights.h5").write_text("of somebody")
    assert [step for step, _ in run.checkpoints()] == [10, 15, 200_000_000]
    assert run.latest_checkpoint().name == "step-200000000.weights.h5"


@pytest.fixture
def small_files() -> Iterator[None]:
    """The disk takes no file of more than 100 kB."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_a_checkpoint_that_the_disk_does_not_take_leaves_nothing(run: Run) -> None:
    run.save_checkpoint(Weights(), 5)
    with pytest.raises(GannetError, match=r"cannot write .*step-00000010.*: File too large; make room"):
        run.save_checkpoint(Weights(size=200_000), 10)
    assert [path.name for path in (run.path / "checkpoints").iterdir()] == ["step-00000005.weights.h5"]


@pytest.mark.usefixtures("small_files")
def test_a_training_that_the_disk_does_not_take_ends_in_one_line(tmp_path: Path, config: TrainConfig) -> None:
    with pytest.raises(GannetError, match=r"^cannot write .*: File too large; make room and [^\n]*$"):
        train(config.model_copy(update={"width": 32}), tmp_path / "run")


def test_one_process_trains_at_a_time(run: Run, config: TrainConfig) -> None:
    with run.locked():
        with pytest.raises(UsageError, match="is being trained by another process"), run.locked():
            pass
        with pytest.raises(UsageError, match="is being trained by another process"):
            train(config, run.path, fresh=True)
    with run.locked():
        assert run.config() == config


def test_fresh_deletes_no_directory_of_something_else(tmp_path: Path, config: TrainConfig) -> None:
    (tmp_path / "config.json").write_text('{"a": 1}')
    (tmp_path / "src").mkdir()
    with pytest.raises(UsageError, match=r"is not a run directory \(it holds src\)"):
        Run.prepare(tmp_path, config, fresh=True)
    assert (tmp_path / "src").is_dir()


def test_fresh_follows_a_link(tmp_path: Path, run: Run, config: TrainConfig) -> None:
    link = tmp_path / "link"
    link.symlink_to(run.path)
    other = config.model_copy(update={"seed": 5})
    Run.prepare(link, other, fresh=True)
    assert run.config() == other
    assert link.is_symlink()


def test_a_resumed_run_forgets_what_it_will_log_again(run: Run) -> None:
    for step in (10, 20, 30):
        run.append_metrics({"step": step})
    with run.metrics.open("a") as file:
        file.write('1\n{"step": 4')
    with run.metrics.open("ab") as file:
        file.write(b"\xff\n")
    run.forget_after(20)
    assert [record["step"] for record in run.read_metrics()] == [10, 20]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", -1),
        ("label_smoothing", 1.0),
        ("learning_rate", float("nan")),
        ("seed", -1),
    ],
)
def test_a_value_out_of_range_is_named(config: TrainConfig, field: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"^{field}: .*received {value}$"):
        TrainConfig.parse({**config.model_dump(), field: value})


def test_all_wrong_values_are_named_at_once(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match=r"steps: .*; widht: "):
        TrainConfig.parse({**config.model_dump(), "steps": 0, "widht": 3})
