"""Whom we trust over TLS: the system's authorities or one of the plant's own."""

import ssl

from isthmus.field.connector import Refused


def trust(ca: str | None) -> ssl.SSLContext | bool:
    """What httpx wants as `verify`; Refused where the file cannot be read."""
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"`ca`: cannot read {ca}: {error}") from error


def distrust(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Why the other side's certificate is not trusted, if that is behind this error."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
