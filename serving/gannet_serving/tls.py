"""TLS for gRPC, as an SSLConfig asks for it. What is in the file stands in no log and no error."""

import logging
import os
import stat
from datetime import UTC, datetime
from typing import Any

import grpc

from gannet_client.errors import UsageError
from gannet_client.extras import require
from gannet_serving.text_protos import read_text_proto

_FLAG = "ssl_config_file"
_CURVES = ("secp256r1", "secp384r1")
_log = logging.getLogger(__name__)


def server_credentials(path: str) -> grpc.ServerCredentials:
    """The credentials that the SSLConfig in `path` describes, with its key, certificates and CA inline.

    Raises:
        UsageError: The file cannot be read, or what it holds cannot be used.
        MissingExtra: The library for certificates is not installed.
    """
    config = read_text_proto("SSLConfig", _FLAG, path)
    require_usable(config, f"--{_FLAG} {path}")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def warn_if_exposed(path: str) -> None:
    """Logs a warning if every user may read the file, which holds a private key."""
    if os.stat(path).st_mode & stat.S_IROTH:
        _log.warning("--%s %s holds a private key and every user can read it; chmod 600", _FLAG, path)


def require_usable(config: Any, where: str) -> None:
    """Checks an SSLConfig: its key, its certificates, that they belong together and are valid now.

    Args:
        config: The message.
        where: Its place, with which the message of an error begins.

    Raises:
        UsageError: It cannot be used.
        MissingExtra: The library for certificates is not installed.
    """
    require("serve", "cryptography")
    _require_pair(config, where)
    if config.custom_ca:
        authorities = _certificates(config.custom_ca, "custom_ca", where)
        if not any(_is_valid(authority) for authority in authorities):
            raise _invalid(authorities[0], "custom_ca", where)
    elif config.client_verify:
        raise UsageError(f"{where}: client_verify needs custom_ca, which signs the clients' certificates")


def _require_pair(config: Any, where: str) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(config.server_key.encode(), None)
    except TypeError:
        raise UsageError(f"{where}: server_key is encrypted; expected a key without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable("server_key", "a private key", where) from None
    _require_known(key, where)
    chain = _certificates(config.server_cert, "server_cert", where)
    if chain[0].public_key() != key.public_key():
        raise UsageError(f"{where}: server_key is not the key of server_cert")
    if not _is_valid(chain[0]):
        raise _invalid(chain[0], "server_cert", where)
    for certificate in chain[1:]:  # a client may find another way to an authority that it trusts
        if not _is_valid(certificate):
            _log.warning("%s: server_cert: one of the chain is %s", where, _dates(certificate))


def _require_known(key: Any, where: str) -> None:
    """Clients over gRPC offer no other kinds, so that no connection would ever come about."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    is_known_curve = isinstance(key, EllipticCurvePrivateKey) and key.curve.name in _CURVES
    if not (is_known_curve or isinstance(key, RSAPrivateKey)):
        raise UsageError(
            f"{where}: server_key: gRPC knows RSA and the elliptic curves {' and '.join(_CURVES)} "
            "alone, and this is another kind of key"
        )


def _certificates(text: str, field: str, where: str) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return list(load_pem_x509_certificates(text.encode()))
    except ValueError:
        raise _unusable(field, "one or more certificates", where) from None


def _is_valid(certificate: Any) -> bool:
    now = datetime.now(UTC)
    return bool(certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc)


def _invalid(certificate: Any, field: str, where: str) -> UsageError:
    return UsageError(
        f"{where}: {field}: no connection would come about: the certificate is {_dates(certificate)}; "
        "take another one, or set the clock"
    )


def _dates(certificate: Any) -> str:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC alone"


def _unusable(field: str, expected: str, where: str) -> UsageError:
    return UsageError(f"{where}: {field}: expected {expected} in PEM form, inline and complete")
