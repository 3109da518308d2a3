"""Certificates that are made for a test."""

import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Pair(NamedTuple):
    """A key and its certificate, as objects and as PEM."""

    private: ec.EllipticCurvePrivateKey
    signed: x509.Certificate

    @property
    def key(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def certificate(self) -> str:
        return self.signed.public_bytes(Encoding.PEM).decode()


def issue(name: str, by: Pair | None = None, *, age: float = 0) -> Pair:
    """A certificate for `localhost`, signed by another or, as an authority, by itself.

    It is valid for an hour more and since an hour ago, both shifted into the past by an age in hours.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=age)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.signed.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .sign(by.private if by else key, hashes.SHA256())
    )
    return Pair(key, certificate)


def write_pems(folder: Path, *, age: float = 0) -> Pair:
    """Writes a server's key and certificate and the authority's, which is returned."""
    authority = issue("authority")
    pair = issue("server", authority, age=age)
    (folder / "server.key").write_text(pair.key)
    (folder / "server.pem").write_text(pair.certificate)
    (folder / "ca.pem").write_text(authority.certificate)
    return authority
