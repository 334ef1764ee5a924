# ruff: noqa: DTZ001 - wall times carry no zone; that is what is read here
import csv
import io
from contextlib import suppress
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from isthmus.provision.sheet import Layout, UnreadableError, records


def rows(data, needed=("nr",), name="orders.csv", **layout):
    given_ = data.encode() if isinstance(data, str) else data
    return records(name, given_, Layout(**layout), needed)


def values(*given_, **named):
    return [record.values for record in rows(*given_, **named)]


def workbook(*lines, sheet="Sheet"):
    book = Workbook()
    book.active.title = sheet
    for line in lines:
        book.active.append(line)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_delimiter_is_the_one_that_finds_the_columns(sign):
    text = sign.join(["nr", "menge, gesamt; alles"]).replace(
        "menge, gesamt; alles", "menge") + "\n" + sign.join(["1", '"1,5"'])  # fmt: skip
    assert values(text, ("nr", "menge")) == [{"nr": "1", "menge": "1,5"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encoding_is_detected(encoding):
    data = "nr;name\n1;Gehäuse für Größe 7 – €\n".encode(encoding)
    assert values(data, ("nr", "name")) == [{"nr": "1", "name": "Gehäuse für Größe 7 – €"}]


def test_declared_encoding_that_does_not_fit_is_named():
    with pytest.raises(UnreadableError, match=r"is not utf-8: invalid .* at byte 3"):
        rows(b"nr\n\xe4\n1", encoding="utf-8")


def test_bytes_that_are_no_text_are_named():
    for data in (b"nr\n\x81\x8d", b"nr;\x00\n1;2"):
        with pytest.raises(UnreadableError) as caught:
            rows(data)
        assert caught.value.fault.code == "Q120"


def test_rows_are_numbered_as_a_person_counts_them():
    text = 'Export of 17.11.2026\n\nnr;name\n\n1;a\n2;"two\nlines"\n3;c\n'
    found = rows(text, ("nr", "name"), header=3)
    assert [record.place for record in found] == ["row 5", "row 6", "row 8"]


def test_row_with_other_cells_than_the_header_is_a_fault_of_its_own():
    found = rows("nr;name\n1;a\n2;b;c\n3\n4;d\n", ("nr", "name"))
    assert [record.fault and record.fault.code for record in found] == [None, "Q122", "Q122", None]
    assert found[1].values == {"cell 1": "2", "cell 2": "b", "cell 3": "c"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("number;name\n1;a", "no column `nr`; the header has `number`, `name`"),
        ("nrr;name\n1;a", "no column `nr`; did you mean `nrr`"),
        ("nr;nr\n1;a", "column `nr` is there 2 times"),
        ("", "there is no row 1"),
        ('nr;name\n1;"open', "line 2: unexpected end of data"),
    ],
)
def test_file_of_which_nothing_can_be_taken_is_named(text, says):
    with pytest.raises(UnreadableError, match=says):
        rows(text)


def test_cell_of_a_megabyte_is_read_and_left_to_the_check_of_its_field():
    assert len(values(f"nr;name\n1;{'x' * 2**20}\n")[0]["name"]) == 2**20


def test_cells_of_a_workbook_keep_their_types():
    data = workbook(["nr", "due", "at", "menge", None], [4711, date(2026, 11, 17),
                    datetime(2026, 11, 17, 6), 1.5, "note"], [], ["A-1"])  # fmt: skip
    assert values(data, name="orders.XLSX") == [
        {"nr": 4711.0, "due": date(2026, 11, 17), "at": datetime(2026, 11, 17, 6), "menge": 1.5},
        {"nr": "A-1", "due": "", "at": "", "menge": ""},
    ]


def test_sheet_of_a_workbook_is_found_by_its_name():
    data = workbook(["nr"], [1], sheet="Orders")
    assert len(values(data, name="x.xlsx", sheet="Orders")) == 1
    with pytest.raises(UnreadableError, match="no sheet `Ordres`; did you mean `Orders`"):
        rows(data, name="x.xlsx", sheet="Ordres")


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_workbook_that_was_cut_off_is_named(size):
    data = workbook(["nr"], *([number] for number in range(200)))
    with pytest.raises(UnreadableError, match="is no workbook that can be read"):
        rows(data[:size], name="x.xlsx")


@given(
    header=st.lists(st.text("abcäß €", min_size=1, max_size=5).map(str.strip).filter(bool),
                    min_size=2, max_size=4, unique=True),
    body=st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"),
                                   max_size=8), min_size=4, max_size=4), max_size=5),
    sign=st.sampled_from([",", ";", "\t", "|"]),
)  # fmt: skip
def test_what_a_csv_writer_wrote_is_read(header, body, sign):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=sign)
    lines = [line[: len(header)] for line in body]
    writer.writerows([header, *lines])
    found = records("x.csv", file.getvalue().encode(), Layout(), header)
    wanted = [dict(zip(header, line, strict=True)) for line in lines if any(line)]
    assert [record.values for record in found] == wanted


@given(st.binary(max_size=300))
def test_garbage_is_read_or_named_never_a_crash(data):
    for name in ("x.csv", "x.xlsx"):
        with suppress(UnreadableError):
            assert isinstance(records(name, data, Layout(), ["nr"]), list)
