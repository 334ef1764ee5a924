"""Keeps what is secret out of everything that is shown."""

import re
from typing import Final

HIDDEN: Final = "•••"

SECRET_WORD: Final = re.compile(r"pass(word|wd|phrase)?$|pwd$|secret$|token$|api_?key$")
"""Keys whose values are secret, whatever the kind of source or system."""

_SECRET_VALUE: Final = re.compile(
    r"""(?P<key>[\w-]*(?:pass|password|passwd|passphrase|pwd|secret|token|api_?key)
        ["']?\s*:\s*)
        (?!["']?\$\{|!secret\b)
        (?P<value>"[^"]*"|'[^']*'|[^\s,}\]]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_VARIABLE: Final = re.compile(r"\$\{\w+\}")
_SECRET_NAME: Final = re.compile(r"!secret [\w.-]+")
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")


def masked(line: str) -> str:
    """A source line with the values of secret keys starred out; columns stay where they are."""
    line = _SECRET_VALUE.sub(lambda found: found["key"] + "*" * len(found["value"]), line)
    return _URL_PASSWORD.sub(lambda found: f"{found[1]}:{'*' * len(found[2])}@", line)


def is_secret_key(key: str) -> bool:
    return SECRET_WORD.search(key.lower()) is not None


def is_variable(value: object) -> bool:
    """Whether a value is nothing but the name of an environment variable, as in `${NAME}`."""
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


def is_reference(value: object) -> bool:
    """Whether it names what is kept elsewhere: `${NAME}`, `!secret name`."""
    return is_variable(value) or (
        isinstance(value, str) and _SECRET_NAME.fullmatch(value) is not None
    )


def url_password(text: str) -> bool:
    """Whether a URL carries a password in plain text."""
    found = _URL_PASSWORD.search(text)
    return found is not None and not found[2].startswith("${")


def scrubbed(text: str, secrets: frozenset[str]) -> str:
    """`text` without the secrets, longest first so that no rest of one remains."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
