"""A version in bfloat16 is told of where the processor does not compute in it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from gannet_serving import loads
from gannet_serving.config import ModelConfig
from gannet_serving.engine import loader
from gannet_serving.model import Model
from gannet_serving.options import ServerOptions
from gannet_serving.processor import advice
from gannet_serving.servables import Servables

OLD = "processor : 0\nflags\t: fpu sse2 avx2 avx512f avx512_vnni\n"
NEW = (OLD.replace("avx512_vnni", "avx512_bf16"), "flags : amx_bf16 amx_tile", "Features : fp asimd bf16 sve")


def write_card(version: Path, text: str) -> Path:
    (version / "assets.extra").mkdir(parents=True)
    (version / "assets.extra" / "gannet.json").write_text(text)
    return version


def in_precision(precision: str) -> str:
    return json.dumps({"format": 1, "graph": {"precision": precision}})


def test_bfloat16_on_a_processor_without_it(tmp_path: Path) -> None:
    version = write_card(tmp_path / "1", in_precision("bfloat16"))
    assert "export it with --precision float32" in str(advice(version, OLD))


@pytest.mark.parametrize("cpuinfo", [*NEW, None])
def test_nothing_to_say_where_it_is_computed_or_nothing_is_known(tmp_path: Path, cpuinfo: str | None) -> None:
    assert advice(write_card(tmp_path / "1", in_precision("bfloat16")), cpuinfo) is None


@pytest.mark.parametrize(
    "card", [in_precision("float32"), "{", "[]", '{"graph": null}', '{"graph": {}}', "\xff" * 9, "1" * 5000]
)
def test_nothing_to_say_of_float32_nor_of_what_is_no_card(tmp_path: Path, card: str) -> None:
    assert advice(write_card(tmp_path / "1", card), OLD) is None
    assert advice(tmp_path / "none", OLD) is None


@pytest.mark.parametrize(("cpuinfo", "lines"), [(OLD, 1), (NEW[0], 0)])
def test_a_load_says_it_once(
    saved_models: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    cpuinfo: str,
    lines: int,
) -> None:
    saved_models.write_gen(tmp_path / "gen" / "3")
    write_card(tmp_path / "gen" / "3", in_precision("bfloat16"))
    # The one thing that a machine cannot be asked to be: another one.
    monkeypatch.setattr(loads, "read_cpuinfo", lambda: cpuinfo)
    model = Model(Servables("gen"), loads.Loads(loader(ServerOptions())))
    model.configure(ModelConfig("gen", tmp_path / "gen"))
    with caplog.at_level(logging.WARNING):
        assert model.sync()
        assert model.sync()
    said = [line for line in caplog.messages if "bfloat16" in line]
    assert len(said) == lines
    assert all(line.startswith("model gen version 3: ") for line in said)
