"""The client in environments of its own: without TensorFlow, on every Python and every protobuf."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from gannet_client import codec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
ALONE = Path(__file__).with_name("alone.py")
VERSION = "{}.{}".format(*sys.version_info)
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
OLDEST = ["grpcio==1.74.0", "numpy==1.26.0", "protobuf==5.29.0"]
ENVIRONMENTS = {
    "oldest": ("3.11", OLDEST),
    "protobuf-5.29": (VERSION, ["protobuf>=5.29,<6"]),
    "protobuf-6": (VERSION, ["protobuf>=6,<7"]),
    "protobuf-7": (VERSION, ["protobuf>=7,<8"]),
    "python-3.11": ("3.11", []),
    "python-3.12": ("3.12", []),
    "python-3.13": ("3.13", []),
}
NUMERIC = ["bool", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
NUMERIC += [f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=300)
    (found,) = folder.iterdir()
    return found


def interpreter(version: str) -> str:
    """Skips the test where that Python is not installed."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable] if version == VERSION else []
    candidates += [f"python{version}", *map(str, versions.glob(f"{version}.*/bin/python"))]
    program = "import sys; print('{}.{}'.format(*sys.version_info))"
    for candidate in filter(shutil.which, candidates):
        done = subprocess.run([candidate, "-c", program], capture_output=True, text=True, timeout=60)
        if done.stdout.strip() == version:
            return candidate
    pytest.skip(f"no Python {version}")


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def python(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the client and what it needs, and nothing else."""
    version, versions = ENVIRONMENTS[request.param]
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([interpreter(version), "-m", "venv", folder], check=True, timeout=300)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, *versions]
    subprocess.run(install, check=True, timeout=600)
    return python


def cases() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    numbers = random.normal(0, 90, (5, 4, 3))
    arrays = {name: np.asarray(tf.cast(numbers, name)) for name in NUMERIC if "complex" not in name}
    arrays |= {name: (numbers + 1j * numbers[::-1]).astype(name) for name in ("complex64", "complex128")}
    strings = np.empty(3, object)
    strings[:] = [b"\x89PNG\0", b"", b"\0\0"]
    return arrays | {"string": strings, "none": np.zeros((0, 4), np.float32)}


def responses() -> dict[str, tuple[bytes, np.ndarray]]:
    """Of each dtype one in content, one in values and one whose values are not packed."""
    found = {}
    for name, array in cases().items():
        for how in ("encode", "encode_values"):
            response = predict_pb2.PredictResponse()
            response.model_spec.name = "digits"
            response.model_spec.version.value = 3
            getattr(codec, how)(array, response.outputs["x"])
            found[f"{name}-{how}"] = response.SerializeToString(), array
    unpacked = b"\x08\x03\x12\x04\x12\x02\x08\x02" + b"\x38\x07\x38\x08"
    entry = b"\x0a\x01x\x12" + bytes([len(unpacked)]) + unpacked
    data = b"\x0a" + bytes([len(entry)]) + entry + b"\x12\x0c\x0a\x06digits\x12\x02\x08\x03"
    return found | {"unpacked": (data, np.array([7, 8], np.int32))}


def test_the_client_alone_reads_and_writes_what_the_official_stubs_do(
    python: Path, target: str, tmp_path: Path
) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    for name, (data, array) in responses().items():
        (folder / f"{name}.response").write_bytes(data)
        if array.dtype == object:
            (folder / f"{name}.json").write_text(json.dumps([item.hex() for item in array]))
        else:
            np.save(folder / f"{name}.npy", array.astype("f4") if array.dtype.name == "bfloat16" else array)
    for implementation in ("upb", "python"):
        environment = {**ENVIRONMENT, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
        done = subprocess.run(
            [python, "-W", "error", ALONE, folder, target],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    requests = list(folder.glob("*.request"))
    assert len(requests) == len(responses())
    for path in requests:
        request = predict_pb2.PredictRequest.FromString(path.read_bytes())
        _, array = responses()[path.stem]
        sent = tf.make_ndarray(request.inputs["x"])
        np.testing.assert_array_equal(sent, array.astype("f4") if "bfloat16" in path.stem else array)


def test_the_command_names_the_extra(python: Path) -> None:
    gannet = [python.with_name("gannet"), "--help"]
    done = subprocess.run(gannet, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'gannet-toolkit[cli]'" in done.stderr
