"""TLS over gRPC, with certificates that are made here."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gannet_client import NO_RETRY, Client, ServerUnreachable, Tls
from gannet_client.errors import UsageError
from gannet_serving import LocalServer, ServerOptions
from gannet_serving.tls import server_credentials, warn_if_exposed
from tests.certificates import Pair, issue

NOISE = {"noise": np.ones((1, 4), np.float32)}


def write_config(path: Path, **fields: str | bool) -> Path:
    """An SSLConfig as people write it: a string for each line of a PEM."""

    def value(field: str | bool) -> str:
        if isinstance(field, bool):
            return str(field).lower()
        return "\n  ".join(f'"{line}\\n"' for line in field.splitlines()) or '""'

    path.write_text("\n".join(f"{name}: {value(field)}" for name, field in fields.items()))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def authority() -> Pair:
    return issue("authority")


@pytest.fixture(scope="module")
def identity(authority: Pair) -> Pair:
    return issue("server", authority)


@pytest.fixture(scope="module")
def models(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models: Path = tmp_path_factory.mktemp("models")
    (models / "gen").mkdir()
    saved_models.write_gen(models / "gen" / "1")
    return models


@pytest.fixture
def serve(models: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serves with the SSLConfig of these fields; returns the address under the certificate's name."""
    with ExitStack() as stack:

        def serve(**fields: str | bool) -> str:
            file = write_config(tmp_path / "ssl", **fields)
            server = stack.enter_context(
                LocalServer(models, rest=True, options=ServerOptions(ssl_config_file=str(file)))
            )
            with urlopen(f"{server.rest_url}/models/gen", timeout=30) as response:  # in the clear, as ever
                assert response.status == 200
            return server.target.replace("127.0.0.1", "localhost")

        yield serve


@pytest.fixture
def ask(predict_request: Callable[..., Any]) -> Callable[..., Any]:
    """The version that answers, or the code of the refusal."""
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    def ask(address: str, authority: Pair | None, client: Pair | None = None) -> Any:
        if authority is None:
            channel = grpc.insecure_channel(address)
        else:
            mine = (client.key.encode(), client.certificate.encode()) if client else (None, None)
            credentials = grpc.ssl_channel_credentials(authority.certificate.encode(), *mine)
            channel = grpc.secure_channel(address, credentials)
        with channel:
            try:
                request = predict_request("gen", NOISE)
                return PredictionServiceStub(channel).Predict(request, timeout=30).model_spec.version.value
            except grpc.RpcError as error:
                return error.code()

    return ask


def test_a_server_with_a_certificate(
    serve: Callable[..., str], ask: Callable[..., Any], authority: Pair, identity: Pair
) -> None:
    address = serve(server_key=identity.key, server_cert=identity.certificate)
    assert ask(address, authority) == 1
    assert ask(address, authority, issue("anybody")) == 1
    assert ask(address, None) is grpc.StatusCode.UNAVAILABLE
    assert ask(address, issue("another authority")) is grpc.StatusCode.UNAVAILABLE


def test_a_server_that_wants_to_know_its_clients(
    serve: Callable[..., str], ask: Callable[..., Any], authority: Pair, identity: Pair
) -> None:
    address = serve(
        server_key=identity.key,
        server_cert=identity.certificate,
        custom_ca=authority.certificate,
        client_verify=True,
    )
    assert ask(address, authority, issue("client", authority)) == 1
    assert ask(address, authority) is grpc.StatusCode.UNAVAILABLE
    assert ask(address, authority, issue("client", issue("foreign"))) is grpc.StatusCode.UNAVAILABLE
    assert ask(address, None) is grpc.StatusCode.UNAVAILABLE


def test_the_client_proves_who_it_is(serve: Callable[..., str], authority: Pair, identity: Pair) -> None:
    address = serve(
        server_key=identity.key,
        server_cert=identity.certificate,
        custom_ca=authority.certificate,
        client_verify=True,
    )
    trusted, mine = authority.certificate.encode(), issue("client", authority)
    known = Tls(authority=trusted, certificate=mine.certificate.encode(), key=mine.key.encode())
    with Client(address, model="gen", tls=known, token="secret") as client:
        assert client.wait_ready(timeout=30) == 1
        assert client.predict(NOISE)["images"].shape == (1, 4, 4, 1)
    for tls in (Tls(authority=trusted), None):
        stranger = Client(address, model="gen", tls=tls, retry=NO_RETRY)
        with stranger, pytest.raises(ServerUnreachable, match="whether both or neither use TLS"):
            stranger.predict(NOISE)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"server_key": "no key"}, "server_key: expected a private key in PEM form, inline and complete"),
        ({"server_key": ""}, "server_key: expected a private key in PEM form, inline and complete"),
        ({"server_cert": ""}, "server_cert: expected one or more certificates in PEM form, inline and"),
        ({"server_cert": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, "server_cert: "),
        ({"custom_ca": "no authority"}, "custom_ca: expected one or more certificates in PEM form"),
        ({"client_verify": True}, "client_verify needs custom_ca, which signs the clients'"),
    ],
)
def test_what_cannot_be_used_is_told(
    fields: dict[str, Any], complaint: str, identity: Pair, tmp_path: Path
) -> None:
    usual = {"server_key": identity.key, "server_cert": identity.certificate}
    file = write_config(tmp_path / "ssl", **{**usual, **fields})
    with pytest.raises(UsageError) as caught:
        server_credentials(str(file))
    assert str(caught.value).startswith(f"--ssl_config_file {file}: {complaint}")


def test_a_key_of_another_certificate_is_told(identity: Pair, authority: Pair, tmp_path: Path) -> None:
    file = write_config(tmp_path / "ssl", server_key=authority.key, server_cert=identity.certificate)
    with pytest.raises(UsageError, match=r"server_key is not the key of server_cert$"):
        server_credentials(str(file))


@pytest.mark.parametrize("age", [2, -2], ids=["expired", "not yet valid"])
def test_a_certificate_that_no_client_accepts_today_is_told(
    age: int, authority: Pair, tmp_path: Path
) -> None:
    pair, old = issue("server", authority, age=age), issue("old authority", age=age)
    file = write_config(tmp_path / "ssl", server_key=pair.key, server_cert=pair.certificate)
    alone = "alone; take another one, or set the clock$"
    with pytest.raises(UsageError, match=f"server_cert: no connection would come about: .* {alone}"):
        server_credentials(str(file))
    pair = issue("server", old)
    fields = {"server_key": pair.key, "server_cert": pair.certificate, "client_verify": True}
    file = write_config(tmp_path / "ssl", **fields, custom_ca=old.certificate)
    with pytest.raises(UsageError, match=f"custom_ca: .* {alone}"):
        server_credentials(str(file))
    file = write_config(tmp_path / "ssl", **fields, custom_ca=old.certificate + authority.certificate)
    assert server_credentials(str(file))


def test_an_authority_of_the_chain_that_has_expired_is_warned_of(
    authority: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a cross-signature may be, beside which clients find another way."""
    pair, old = issue("server", authority), issue("old authority", age=2)
    file = write_config(tmp_path / "ssl", server_key=pair.key, server_cert=pair.certificate + old.certificate)
    assert server_credentials(str(file))
    [message] = caplog.messages
    assert message.startswith(f"--ssl_config_file {file}: server_cert: one of the chain is valid from 20")


@pytest.mark.parametrize(
    "key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP521R1())], ids=["ed", "p521"]
)
def test_a_key_that_no_client_accepts_is_told(key: Any, identity: Pair, tmp_path: Path) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = write_config(tmp_path / "ssl", server_key=pem, server_cert=identity.certificate)
    with pytest.raises(UsageError, match="server_key: gRPC knows RSA and the elliptic curves secp256r1 and"):
        server_credentials(str(file))


def test_a_key_with_a_password_is_told(identity: Pair, tmp_path: Path) -> None:
    key = identity.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    file = write_config(tmp_path / "ssl", server_key=key.decode(), server_cert=identity.certificate)
    with pytest.raises(UsageError, match=r"server_key is encrypted; expected a key without a password$"):
        server_credentials(str(file))


def test_a_key_that_every_user_can_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "ssl"
    file.touch(0o600)
    warn_if_exposed(str(file))
    assert not caplog.messages
    file.chmod(0o644)
    warn_if_exposed(str(file))
    assert caplog.messages == [
        f"--ssl_config_file {file} holds a private key and every user can read it; chmod 600"
    ]


def test_a_file_that_is_no_configuration_is_not_shown(identity: Pair, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(f"server_key: {identity.key}")
    with pytest.raises(UsageError) as caught:
        server_credentials(str(file))
    place = "line 1, column 13"
    assert str(caught.value) == (
        f"--ssl_config_file: expected a SSLConfig in text form, received '{file}', {place}"
    )
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"in text form, received .*key.pem'$"):
        server_credentials(str(file))
    with pytest.raises(UsageError, match=r"cannot read --ssl_config_file .*: No such file or directory$"):
        server_credentials(str(tmp_path / "missing"))
