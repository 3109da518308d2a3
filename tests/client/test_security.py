"""Encrypted connections, certificates, tokens, headers and interceptors."""

import asyncio
import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc import aio
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from gannet_client import NO_RETRY, AsyncClient, Client, ServerUnreachable, Tls, UsageError


class Pair(NamedTuple):
    """A private key, a certificate of it, and both as PEM."""

    private: ec.EllipticCurvePrivateKey
    public: x509.Certificate
    key: bytes
    certificate: bytes


def make_pair(name: str, issuer: Pair | None, *names: x509.GeneralName) -> Pair:
    private, subject = ec.generate_private_key(ec.SECP256R1()), named(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.public.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    public = builder.sign(issuer.private if issuer else private, hashes.SHA256())
    key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(private, public, key, public.public_bytes(serialization.Encoding.PEM))


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make_pair("authority", None)


@pytest.fixture(scope="module")
def own(authority: Pair) -> Pair:
    """The client's."""
    return make_pair("client", authority)


@pytest.fixture
def secure(fake: Any, authority: Pair) -> Iterator[Callable[..., str]]:
    """Starts the fake behind TLS: `secure(*names, mutual=False)`."""
    started: list[grpc.Server] = []

    def start(*names: x509.GeneralName, mutual: bool = False) -> str:
        pair = make_pair("server", authority, *names)
        server = grpc.server(ThreadPoolExecutor(4))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(fake, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(fake, server)
        credentials = grpc.ssl_server_credentials(
            [(pair.key, pair.certificate)], authority.certificate if mutual else None, mutual
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        started.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop(None).wait()


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def test_an_encrypted_connection(secure: Any, authority: Pair, tmp_path: Path) -> None:
    target = secure(LOOPBACK)
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    for given in (authority.certificate, tmp_path / "authority.pem", str(tmp_path / "authority.pem")):
        with Client(target, model="digits", tls=Tls(authority=given)) as client:
            assert len(client.generate(100)) == 100


def test_a_server_whose_name_is_not_that_of_its_address(secure: Any, authority: Pair) -> None:
    target = secure(x509.DNSName("images.example.org"))
    tls = Tls(authority=authority.certificate, server_name="images.example.org")
    with Client(target, model="digits", tls=tls) as client:
        assert client.wait_ready() == 1
    with (
        Client(target, model="digits", tls=Tls(authority=authority.certificate), retry=NO_RETRY) as client,
        pytest.raises(ServerUnreachable, match="not trusted; check the authority and the name"),
    ):
        client.status()


def test_a_server_of_another_authority(secure: Any, own: Pair) -> None:
    other = make_pair("other", None).certificate
    with (
        Client(secure(LOOPBACK), model="digits", tls=Tls(authority=other), retry=NO_RETRY) as client,
        pytest.raises(ServerUnreachable, match="not trusted"),
    ):
        client.status()


def test_both_sides_prove_who_they_are(secure: Any, authority: Pair, own: Pair, tmp_path: Path) -> None:
    target = secure(LOOPBACK, mutual=True)
    (tmp_path / "own.key").write_bytes(own.key)
    tls = Tls(authority=authority.certificate, certificate=own.certificate, key=tmp_path / "own.key")
    with Client(target, model="digits", tls=tls) as client:
        assert len(client.generate(3)) == 3

    async def use() -> int:
        async with AsyncClient(target, model="digits", tls=tls) as client:
            return len(await client.generate(3))

    assert asyncio.run(use()) == 3
    with (
        Client(target, model="digits", tls=Tls(authority=authority.certificate), retry=NO_RETRY) as client,
        pytest.raises(ServerUnreachable),
    ):
        client.status()


def test_encryption_on_one_side_alone(secure: Any, target: str, authority: Pair) -> None:
    tls = Tls(authority=authority.certificate)
    for client in (
        Client(secure(LOOPBACK), model="digits", retry=NO_RETRY),
        Client(target, model="digits", tls=tls, retry=NO_RETRY),
    ):
        with client, pytest.raises(ServerUnreachable, match="whether both or neither use TLS"):
            client.status(timeout=20)


def test_a_token_is_sent_with_every_request(secure: Any, fake: Any, authority: Pair) -> None:
    tokens = iter(["one", "two", "three", "four"])
    tls = Tls(authority=authority.certificate)
    with Client(secure(LOOPBACK), model="digits", tls=tls, token=lambda: next(tokens)) as client:
        client.generate(1)
        fake.failures.append((grpc.StatusCode.UNAVAILABLE, "again", None))
        client.status()
        assert [sent["authorization"] for sent in fake.metadata] == [
            f"Bearer {token}" for token in ("one", "two", "three", "four")
        ]
        assert "four" not in repr(client)


@pytest.mark.parametrize(
    "arguments",
    [
        {"token": "secret"},
        {"token": lambda: "secret"},
        {"metadata": {"authorization": "Basic secret"}},
    ],
)
def test_a_token_is_not_sent_in_the_clear(target: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"not sent in the clear; pass tls=Tls\(") as caught:
        Client(target, model="digits", **arguments)
    assert "secret" not in str(caught.value)
    with Client(target, model="digits") as client, pytest.raises(UsageError, match="in the clear"):
        client.with_options(metadata={"authorization": "secret"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"certificate": b"x"}, "both, certificate and key"),
        ({"key": b"x"}, "both, certificate and key"),
        ({"authority": "/nowhere/ca.pem"}, r"cannot read the PEM file '/nowhere/ca.pem'"),
        ({"authority": 7}, "cannot read the PEM file"),
    ],
)
def test_certificates_that_cannot_be_used(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Tls(**arguments)


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(Tls(certificate=b"secret", key=b"secret", server_name="a"))


def test_headers_of_ones_own(target: str, fake: Any) -> None:
    with Client(target, model="digits", metadata={"x-caller": "anna"}) as client:
        client.generate(100)
    assert {sent["x-caller"] for sent in fake.metadata} == {"anna"}
    for bad in ({"X-Caller": "anna"}, {"größe": "1"}, {"x": 7}, {"": "a"}, {"a b": "c"}, {"x": "a\nb"}):
        with pytest.raises(UsageError, match="metadata"):
            Client(target, model="digits", metadata=bad)  # type: ignore[arg-type]


class Sync(grpc.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.seen: list[tuple[str, type]] = []

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.seen.append((details.method, type(request)))
        return continuation(details, request)


class Async(aio.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.seen: list[tuple[Any, type]] = []

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method
        self.seen.append((method.decode() if isinstance(method, bytes) else method, type(request)))
        return await continuation(details, request)


def test_interceptors_see_every_request(target: str, fake: Any) -> None:
    sync, async_ = Sync(), Async()
    with Client(target, model="digits", interceptors=[sync]) as client:
        client.generate(100)

    async def use() -> None:
        async with AsyncClient(target, model="digits", interceptors=[async_]) as client:
            await client.generate(100)

    asyncio.run(use())
    predict = ("/tensorflow.serving.PredictionService/Predict", bytes)
    assert sync.seen == async_.seen == [predict] * 3


@pytest.mark.parametrize(("kind", "interceptor"), [(Client, Async()), (AsyncClient, Sync()), (Client, Async)])
def test_interceptors_of_another_kind_are_refused(kind: Any, interceptor: Any) -> None:
    name = "grpc.UnaryUnaryClientInterceptor" if kind is Client else "grpc.aio.UnaryUnaryClientInterceptor"
    with pytest.raises(UsageError, match=f"each interceptor must be a {name}; received"):
        kind(model="digits", interceptors=[interceptor])


def test_what_an_interceptor_refuses_is_told(target: str) -> None:
    class Refusal(Exception):
        pass

    class Refusing(Sync):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            raise Refusal

    with Client(target, model="digits", interceptors=[Refusing()]) as client, pytest.raises(Refusal):
        client.generate(1)


def test_the_commands_take_certificates_and_a_token(
    gannet: Any, secure: Any, fake: Any, authority: Pair, own: Pair, tmp_path: Path, monkeypatch: Any
) -> None:
    target = secure(LOOPBACK, mutual=True)
    for name, pem in (("ca", authority.certificate), ("cert", own.certificate), ("key", own.key)):
        (tmp_path / name).write_bytes(pem)
    options = ["--server", target, "--model", "digits", "--ca", tmp_path / "ca"]
    options += ["--cert", tmp_path / "cert", "--key", tmp_path / "key"]
    monkeypatch.setenv("GANNET_TOKEN", "secret")
    assert gannet("ready", *options).code == 0
    assert fake.metadata[-1]["authorization"] == "Bearer secret"
    code, out, err = gannet("ready", *options[:4])
    assert (code, out) == (2, "")
    assert "a token is not sent in the clear; pass --tls or" in err and "secret" not in err


def test_a_server_without_tls_is_told_of_in_one_line(target: str) -> None:
    program = [sys.executable, "-c", "from gannet_client.cli import main; main()"]
    asked = ["status", "--server", target, "--model", "digits", "--tls"]
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    done = subprocess.run([*program, *asked], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "whether both or neither use TLS" in done.stderr
