"""Whether a text is one SELECT and nothing else: pure, and strict where databases differ."""

import re
from typing import Final

_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_STRANGE: Final = (
    (re.compile(r"--|/\*|\*/|#"), "comments; write them in the YAML, behind a `#`"),
    (re.compile(r"\\"), "a backslash, which not every database reads alike"),
    (re.compile(r"\$\w*\$"), "text between dollar signs"),
    (re.compile(r"['\"`]"), "a quotation mark that is never closed"),
    (re.compile(r";"), "a semicolon: only one statement may be sent"),
)
_WRITES: Final = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|UPSERT|INTO|DROP|CREATE|ALTER|TRUNCATE|GRANT|REVOKE|CALL|EXEC"
    r"|EXECUTE|LOCK|COPY|LOAD|RENAME|VACUUM|ATTACH|DETACH|PRAGMA|REINDEX|NEXTVAL|SETVAL"
    r"|NEXT\s+VALUE|FOR\s+(?:KEY\s+)?SHARE)\b",
    re.IGNORECASE,
)
_REPLACE: Final = re.compile(r"\bREPLACE\b(?!\s*\()", re.IGNORECASE)
_SELECT: Final = re.compile(r"\(*\s*(SELECT|WITH)\b", re.IGNORECASE)


def single_select(text: str) -> str:
    """The query without the semicolon at its end; ValueError says why it is refused.

    What is a comment or a string differs from database to database, so everything that they could
    read in two ways is refused. The database's own read-only mode and a user without rights to
    write stand behind this.
    """
    query = text.strip().removesuffix(";").rstrip()
    if any("\\" in quoted for quoted in _QUOTED.findall(query)):
        raise ValueError("`query` has a backslash, which not every database reads alike")
    bare = _QUOTED.sub("''", query)
    for pattern, what in _STRANGE:
        if pattern.search(bare.replace("''", "")):
            raise ValueError(f"`query` has {what}")
    if _SELECT.match(bare) is None:
        raise ValueError("`query` must begin with SELECT or WITH: a source is only read")
    if (write := _WRITES.search(bare) or _REPLACE.search(bare)) is not None:
        raise ValueError(
            f"`query` has `{write[0]}`, which may change the database: a source is only read. "
            f"Quote it if it is a column"
        )
    return query
