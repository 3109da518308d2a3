"""`gannet serving render`: what it warns of."""

from pathlib import Path

import pytest

from tests.serving.production.commands import Render


def test_an_older_server_is_warned_of(render: Render, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert render("[models.gen]", "--image", "tensorflow/serving:2.19.1").exit_code == 0
    [warning] = caplog.messages
    assert warning.startswith(
        "gen version 2 was exported by TensorFlow 2.20.0, and tensorflow/serving:2.19.1 is older"
    )
    caplog.clear()
    assert render("[models.gen]").exit_code == 0
    assert not caplog.messages


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("versions = [1, 2]\nlabels = { stable = 1 }", []),
        ("versions = 'all'\nlabels = { stable = 1 }", []),
        (
            "versions = [1, 7, 8]",
            [
                f"models.gen: version {n} is not in $here/models/gen; it is served once it comes"
                for n in (7, 8)
            ],
        ),
        (
            "path = 'gs://bucket/gen'",
            [
                "models.gen: gs://bucket/gen is not looked at from here; if it is not there, no port opens, "
                "and a server that runs finds no new version of any model"
            ],
        ),
        (
            "labels = { stable = 2 }",
            [
                "models.gen: label stable names version 2, which newer versions push out; list the versions: "
                "versions = [2]"
            ],
        ),
        (
            "versions = { latest = 2 }\nlabels = { stable = 1 }",
            [
                "models.gen: label stable names version 1, which newer versions push out; list the versions: "
                "versions = [1, 2]"
            ],
        ),
    ],
)
def test_what_works_today_and_may_not_tomorrow(
    model: str, expected: list[str], render: Render, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert render(f"[models.gen]\n{model}").exit_code == 0
    assert caplog.messages == [warning.replace("$here", str(folder)) for warning in expected]


def test_labels_move_slowly_where_the_configuration_is_polled(
    render: Render, caplog: pytest.LogCaptureFixture
) -> None:
    model = "[models.gen]\nversions = [1, 2]\n"
    assert render(f"{model}[server]\nconfig_poll_seconds = 1").exit_code == 0
    assert not caplog.messages
    assert render(f"{model}labels = {{ stable = 1 }}\n[server]\nconfig_poll_seconds = 1").exit_code == 0
    [warning] = caplog.messages
    assert warning.startswith(
        "server.config_poll_seconds: a label moves only to a version that serves already"
    )


def test_models_that_are_elsewhere_are_not_looked_at(
    render: Render, caplog: pytest.LogCaptureFixture
) -> None:
    assert render("models_dir = 'elsewhere'\n[models.gen]").exit_code == 0
    [warning] = caplog.messages
    assert "elsewhere is no directory here" in warning
