"""TLS to a broker: certificates as a person declares them, and what the broker says of ours."""

import contextlib
import ssl
from typing import Any, Final, Self

from pydantic import SecretStr, model_validator

from isthmus.field.connector import Refused
from isthmus.model.spec.words import Spec

_OUR_CERTIFICATE: Final = frozenset({
    "TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED", "SSLV3_ALERT_HANDSHAKE_FAILURE",
})  # fmt: skip
"""How OpenSSL names what a broker says of our certificate, or of its absence."""


class Tls(Spec):
    """How to trust the broker, and how it may trust us; paths of PEM files."""

    ca: str | None = None
    """Certificate authority of the broker; the system's own where it is not given."""
    cert: str | None = None
    """Our certificate, where the broker asks for one."""
    key: str | None = None
    key_password: SecretStr | None = None

    @model_validator(mode="after")
    def _key_needs_cert(self) -> Self:
        if self.key is not None and self.cert is None:
            raise ValueError("`key` needs `cert`")
        return self


class TlsContext(ssl.SSLContext):
    """Trusts what is declared, and remembers what a broker said of our certificate."""

    refusal = ""


class _Socket(ssl.SSLSocket):
    """Notes why the broker ended it, which paho would swallow; leaves nothing open.

    With TLS 1.3 the broker looks at our certificate when our handshake is already over.
    """

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as its base
        try:
            super().do_handshake(block)
        except OSError as error:
            self._note(error)
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except OSError as error:
            self._note(error)
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            # The reason may have arrived before our words could leave.
            with contextlib.suppress(OSError):
                self.recv(1)
            raise

    def _note(self, error: OSError) -> None:
        context = self.context
        if (
            isinstance(error, ssl.SSLError)
            and error.reason in _OUR_CERTIFICATE
            and isinstance(context, TlsContext)
        ):
            context.refusal = error.reason.lower().replace("_", " ")


def context(tls: Tls | None) -> TlsContext | None:
    """Read the certificates; Refused where one cannot be read. Blocks."""
    if tls is None:
        return None
    made = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    made.sslsocket_class = _Socket
    try:
        if tls.ca is None:
            made.load_default_certs()
        else:
            made.load_verify_locations(tls.ca)
        if tls.cert is not None:
            password: Any = tls.key_password.get_secret_value() if tls.key_password else None
            made.load_cert_chain(tls.cert, tls.key, password)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"`tls`: cannot read a certificate ({error})") from error
    return made
