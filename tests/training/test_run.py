"""The run directory: refused when it holds something else, continued when it holds the same."""

from pathlib import Path

import pytest

from gannet_client.errors import ModelError, UsageError
from gannet_training.config import TrainConfig
from gannet_training.run import Run


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
    with pytest.raises(UsageError, match="not a run directory"):
        Run.prepare(tmp_path / "file", config)
    with pytest.raises(UsageError, match="cannot write the run directory"):
        Run.prepare(tmp_path / "file" / "run", config)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model": "dcgan"}'])
def test_a_damaged_configuration_says_so(run: Run, config: TrainConfig, text: str) -> None:
    (run.path / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"cannot read .*config\.json.*--fresh"):
        Run.prepare(run.path, config)


def test_no_run_and_no_checkpoint_are_told_apart(tmp_path: Path, run: Run) -> None:
    with pytest.raises(UsageError, match="is not a run directory"):
        Run.open(tmp_path)
    with pytest.raises(ModelError, match="no checkpoint yet"):
        run.latest_checkpoint()


class Weights:
    """Saves what it is told to, or fails half-way."""

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error

    def save_weights(self, path: Path) -> None:
        path.write_bytes(b"half")
        if self.error:
            raise self.error


def test_the_last_three_checkpoints_are_kept(run: Run) -> None:
    for step in (5, 10, 200_000_000, 15):
        run.save_checkpoint(Weights(), step)
    assert [step for step, _ in run.checkpoints()] == [10, 15, 200_000_000]
    assert run.latest_checkpoint().name == "step-200000000.weights.h5"


def test_an_interrupted_checkpoint_leaves_nothing(run: Run) -> None:
    run.save_checkpoint(Weights(), 5)
    with pytest.raises(OSError, match="No space"):
        run.save_checkpoint(Weights(OSError(28, "No space left on device")), 10)
    assert [step for step, _ in run.checkpoints()] == [5]
    assert len(list((run.path / "checkpoints").iterdir())) == 1


def test_a_resumed_run_forgets_what_it_will_log_again(run: Run) -> None:
    for step in (10, 20, 30):
        run.append_metrics({"step": step})
    with run.metrics.open("a") as file:
        file.write('{"step": 4')
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
