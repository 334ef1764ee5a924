"""What a person declares of a folder into which machines write files."""

from pathlib import PurePath
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from isthmus.field.connectors.files.numbers import Signs
from isthmus.field.tables.spec import Column, Columns, TableSource
from isthmus.model.spec.words import Seconds

Format = Literal["csv", "excel", "jsonl", "parquet"]
BY_SUFFIX: Final[dict[str, Format]] = {
    ".csv": "csv", ".txt": "csv", ".tsv": "csv", ".dat": "csv", ".log": "csv",
    ".xlsx": "excel", ".xlsm": "excel", ".xlsb": "excel", ".xls": "excel", ".ods": "excel",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


def _absolute(folder: str) -> str:
    if not PurePath(folder).is_absolute():
        raise ValueError(f"`{folder}`: write the whole path, from `/`")
    return folder


class FilesSource(TableSource):
    """A folder of CSV, Excel, JSON Lines or Parquet files with a row per moment."""

    counts_requests: ClassVar[bool] = True  # each look: a large share is slow to list
    kind: Literal["files"] = "files"
    folder: Annotated[str, AfterValidator(_absolute)]
    """Whole path; usually a share that is mounted."""
    files: Columns = ("*",)
    """Name patterns such as `press_7_*.csv`; upper and lower case are the same."""
    format: Literal["auto", "csv", "excel", "jsonl", "parquet"] = "auto"
    """`auto`: by the end of the name."""
    encoding: Literal["auto", "utf-8", "utf-16", "cp1252", "latin-1"] = "auto"
    """Of text files. `auto`: byte order mark, else UTF-8, else Windows-1252."""
    delimiter: Literal["auto", ",", ";", "\t", "|"] = "auto"
    """Of CSV. `auto`: the sign that finds the declared columns in the header."""
    header: int = Field(default=1, ge=1, le=1000)
    """Row with the column names, counted from 1."""
    sheet: str | None = None
    """Of a workbook; without it the first one."""
    decimal: Literal[".", ","] = "."
    """Sign before the decimals of numbers that are written as text."""
    thousands: Literal["", ".", ",", " ", "'"] = ""
    """Sign between groups of three digits; empty: there is none."""
    text: Columns = ()
    """Columns whose cells are texts even where they look like numbers."""
    ready: Literal["settled", "marker"] = "settled"
    """When a file is complete: its size and time have not changed for `settle`, or a file of the
    same name with `marker` behind it is there."""
    settle: Seconds = Field(default=5.0, ge=0)
    """`0 s` where the machine writes under another name and renames."""
    marker: Column = ".done"
    after: Literal["move", "leave"] = "move"
    """`move`: to `done` or `failed` in the folder once all is on our disk. `leave`: nothing in the
    folder is touched, and what was read is remembered."""
    max_mb: int = Field(default=100, ge=1, le=2000)
    """Larger workbooks are refused, since they cannot be read in parts."""
    timeout: Seconds = Field(default=10.0, gt=0)
    """A share that does not answer for so long is lost."""

    @model_validator(mode="after")
    def _signs_differ(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("`decimal` and `thousands` are the same sign")
        return self

    @property
    def budget_holds_for(self) -> str:
        """Several sources may take a pattern each from one folder."""
        return self.folder.rstrip("/") or "/"

    @property
    def signs(self) -> Signs:
        return Signs(self.decimal, self.thousands)

    def format_of(self, name: str) -> Format:
        """Of a file by its name; what has no known end is read as CSV."""
        if self.format != "auto":
            return self.format
        return BY_SUFFIX.get(PurePath(name.lower()).suffix, "csv")

    def for_probe(self) -> Self:
        """A probe touches nothing."""
        return self.model_copy(update={"after": "leave"})
