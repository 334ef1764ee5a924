"""Whether a post is from whom it says: pure, and in the same time whatever is wrong."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Literal

from isthmus.base.clock import SECOND, Micros
from isthmus.field.connectors.webhook.spec import Bearer, Hmac, WebhookSource
from isthmus.field.json_samples import read_time

Doubt = Literal["unsigned", "signature", "time", "token"]
"""Why a post is not believed."""


def doubt(
    spec: WebhookSource, headers: Mapping[str, str], body: bytes, now: Micros
) -> Doubt | None:
    """None if it is believed. Names of headers are in lower case."""
    match spec.auth:
        case None:
            return None
        case Bearer(token=token):
            expected = f"Bearer {token.get_secret_value()}"
            return None if _same(headers.get("authorization", ""), expected) else "token"
        case Hmac() as signed:
            return _doubt_signature(signed, spec.id, headers, body, now)


def key_of(auth: Hmac) -> bytes:
    """The secret's bytes; ValueError where it has not the declared form."""
    secret = auth.secret.get_secret_value()
    match auth.secret_form:
        case "text":
            return secret.encode()
        case "hex":
            return bytes.fromhex(secret)
        case "base64":
            return b64decode(secret, validate=True)


def signature(auth: Hmac, body: bytes, timestamp: str = "", identity: str = "") -> str:
    """As a sender puts it into the header."""
    before, _, after = auth.signed.partition("{body}")
    known = {"timestamp": timestamp, "id": identity}
    message = before.format(**known).encode() + body + after.format(**known).encode()
    digest = hmac.new(key_of(auth), message, hashlib.sha256).digest()
    return auth.prefix + (digest.hex() if auth.form == "hex" else b64encode(digest).decode())


def _doubt_signature(
    auth: Hmac, identity: str | None, headers: Mapping[str, str], body: bytes, now: Micros
) -> Doubt | None:
    given = headers.get(auth.header.lower(), "")
    if not given:
        return "unsigned"
    timestamp = headers.get(auth.timestamp.lower(), "") if auth.timestamp else ""
    known = headers.get(identity.lower(), "") if identity else ""
    expected = signature(auth, body, timestamp, known)
    # All are compared: how long it takes must not tell which one was nearly right.
    if not any([_same(one, expected) for one in given.split(" ")]):  # noqa: C419
        return "signature"
    if auth.timestamp is None:
        return None
    try:
        at = read_time(timestamp, auth.timestamp_format)
    except (ValueError, OverflowError):
        return "time"
    return None if abs(now - at) <= auth.tolerance * SECOND else "time"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
