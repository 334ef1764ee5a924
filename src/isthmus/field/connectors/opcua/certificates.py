"""What a certificate says, how ours is made, and whether a server's may be believed."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

WARN_BEFORE: Final = timedelta(days=30)
KEY_BITS: Final = 2048
"""All three security policies accept it, and so do small controllers."""
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""A machine whose clock is behind must not take our new certificate for one of the future."""


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-1 in hex: what OPC UA calls the thumbprint, and what servers and tools show."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name, no proof


def grouped(print_of: str) -> str:
    """`AB12 CD34 …`, so that two people can compare it."""
    return " ".join(print_of[start : start + 4] for start in range(0, len(print_of), 4))


def subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def application_uri(certificate: x509.Certificate) -> str | None:
    """The URI it speaks for: servers refuse a session that claims another."""
    names = _alternative_names(certificate)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    return uris[0] if uris else None


def load(path: Path) -> list[x509.Certificate]:
    """The certificates of a .der or .pem file, its own first; OSError or ValueError."""
    content = path.read_bytes()
    if content.lstrip().startswith(b"-----BEGIN"):
        return x509.load_pem_x509_certificates(content)
    return list(chain(content))


def chain(content: bytes) -> Iterator[x509.Certificate]:
    """A certificate, followed by those of its issuers: how servers send them."""
    while content:
        size = _der_size(content)
        yield x509.load_der_x509_certificate(content[:size])
        content = content[size:]


def _der_size(content: bytes) -> int:
    """Length of the first DER element, with its header."""
    short = content[1] if len(content) > 1 else 0
    if short < 0x80:
        return 2 + short
    return 2 + (short & 0x7F) + int.from_bytes(content[2 : 2 + (short & 0x7F)], "big")


# Ours --------------------------------------------------------------------------------------------


def issue(
    key: rsa.RSAPrivateKey, host: str, *, now: datetime, valid: timedelta
) -> x509.Certificate:
    """A self-signed application instance certificate (OPC 10000-6, 6.2.2) for this computer."""
    name = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, "Isthmus"),
        x509.NameAttribute(NameOID.DOMAIN_COMPONENT, host),
    ])  # fmt: skip
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + valid)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.UniformResourceIdentifier(f"urn:{host}:isthmus"),
                    x509.DNSName(host),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=True,
    data_encipherment=True,
    key_agreement=False,
    key_cert_sign=True,  # of itself: a self-signed certificate needs it
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


# Theirs ------------------------------------------------------------------------------------------


def out_of_date(certificate: x509.Certificate, now: datetime) -> str:
    """`expired on 2026-10-31`, `is valid only from …`; empty while it is valid."""
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is valid only from {certificate.not_valid_before_utc:%Y-%m-%d} on"
    return ""


def ends_soon(certificate: x509.Certificate, now: datetime) -> str:
    """`expires on 2026-12-01, in 9 days`; empty if that is far, or past."""
    left = certificate.not_valid_after_utc - now
    if not timedelta(0) <= left <= WARN_BEFORE:
        return ""
    return f"expires on {certificate.not_valid_after_utc:%Y-%m-%d}, in {left.days} days"


def trusted(
    shown: Sequence[x509.Certificate],
    trust_list: Iterable[x509.Certificate],
    host: str,
    now: datetime,
) -> bool:
    """Whether the server's own certificate, the first, is in our list or issued by one that is.

    Issuers vouch for whom they name: there the certificate must be for this host.
    """
    known = list(trust_list)
    server, *between = shown
    if server in known:
        return True
    valid = [one for one in known if not out_of_date(one, now)]
    return _names_host(server, host) and _vouched(server, between, valid)


def _vouched(
    certificate: x509.Certificate,
    between: Sequence[x509.Certificate],
    known: Sequence[x509.Certificate],
) -> bool:
    if any(_issued(certificate, issuer) for issuer in known):
        return True
    for position, issuer in enumerate(between):
        others = [*between[:position], *between[position + 1 :]]
        if _issued(certificate, issuer) and _vouched(issuer, others, known):
            return True
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Only a certificate authority vouches for others."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return constraints.value.ca


def _names_host(certificate: x509.Certificate, host: str) -> bool:
    names = _alternative_names(certificate)
    if names is None:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        written = names.get_values_for_type(x509.DNSName)
        return host.casefold() in {name.casefold() for name in written}
    return address in names.get_values_for_type(x509.IPAddress)


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
