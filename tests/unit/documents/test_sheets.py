"""Spreadsheets: each row with the names of its columns, what is no table as it stands, nothing lost."""

from __future__ import annotations

import datetime
import io
import struct
import zipfile

import pytest
import xlsxwriter

from indexing.documents.formats.sheet_regions import Region, TableRow, column_letters, split_sheet
from indexing.documents.marks import Mark, Place, place_at
from indexing.documents.model import Skipped
from indexing.documents.options import ReadOptions
from tests.unit.documents.made_office import make_odt, make_zip, odf
from tests.unit.documents.reading import read_bytes

TABLE = [["Item", "Kind", "Grams"], ["Flour", "rye", 500], ["Salt", "sea", 10.5]]


def make_xlsx(sheets: dict[str, list[list]], change=None) -> bytes:
    """Sheets of rows; `change(workbook)` does the rest."""
    stream = io.BytesIO()
    formats = {"default_date_format": "yyyy-mm-dd", "remove_timezone": True}
    with xlsxwriter.Workbook(stream, formats) as workbook:
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
        if change is not None:
            change(workbook)
    return stream.getvalue()


def make_ods(*sheets: str) -> bytes:
    return make_odt("".join(sheets), kind="spreadsheet")


def texts(reading) -> dict[str, str]:
    return {item.id: item.text for item in reading.items}


class TestTables:
    def test_a_row_is_a_document_with_the_names_of_its_columns(self):
        reading = read_bytes("a.xlsx", make_xlsx({"Stock": TABLE}))
        flour, salt = reading.items
        assert (flour.id, flour.text) == ("a.xlsx#Stock!2", "Item: Flour\nKind: rye\nGrams: 500")
        assert flour.metadata == {"sheet": "Stock", "Item": "Flour", "Kind": "rye", "Grams": 500}
        assert flour.marks == (Mark(0, "heading", "Stock", 1), Mark(0, "line", 2))
        assert place_at(flour.marks, flour.text, 3) == Place(None, 2, ("Stock",))
        assert (salt.id, salt.metadata["Grams"]) == ("a.xlsx#Stock!3", 10.5)

    def test_a_long_row_is_of_one_line_of_the_file(self):
        rows = [[f"Column {n}" for n in range(60)], ["a word and another " * 3] * 60]
        document = read_bytes("a.xlsx", make_xlsx({"S": rows})).document()
        last = document.text.index("Column 30")
        assert place_at(document.marks, document.text, last).line == 2
        assert len(document.marks) == 51

    def test_known_columns_are_id_title_and_text_as_in_a_csv(self):
        rows = [["id", "title", "text"], ["k1", "On bread", "It rises."], [7, "On salt", "It does not."]]
        documents = read_bytes("a.xlsx", make_xlsx({"S": rows})).items
        assert [(d.id, d.title, d.text) for d in documents] == [
            ("k1", "On bread", "It rises."),
            ("7", "On salt", "It does not."),
        ]

    def test_the_same_ids_in_two_sheets_are_two_documents(self):
        rows = [["id", "text"], ["1", "It rises."], ["2", "It waits."]]
        other = [["id", "text"], ["2", "It rests."], ["3", "It cools."]]
        reading = read_bytes("a.xlsx", make_xlsx({"A": rows, "B": other}))
        assert texts(reading) == {
            "1": "It rises.",
            "2": "It waits.",
            "a.xlsx#B!2": "It rests.",
            "3": "It cools.",
        }
        assert reading.notes == [
            "has sheets with the same ids: in the later ones the place of a row is its id"
        ]

    def test_columns_that_a_person_named(self):
        file = make_xlsx({"S": TABLE})
        options = ReadOptions(text_fields=("Kind",), id_field="Item")
        documents = read_bytes("a.xlsx", file, options).items
        assert [(d.id, d.text) for d in documents] == [("Flour", "rye"), ("Salt", "sea")]

    def test_dates_numbers_booleans_formulas_and_errors(self):
        def add(workbook):
            sheet = workbook.worksheets()[0]
            day = workbook.add_format({"num_format": "dd.mm.yyyy"})
            sheet.write_row(0, 0, ["What", "Day", "Moment", "Ok", "Sum", "Error", "Time"])
            sheet.write(1, 0, "order")
            sheet.write_datetime(1, 1, datetime.datetime(2024, 5, 1), day)
            sheet.write_datetime(1, 2, datetime.datetime(2024, 5, 1, 10, 30), day)
            sheet.write(1, 3, True)
            sheet.write_formula(1, 4, "=1+2", None, 3)
            sheet.write_formula(1, 5, "=1/0", None, "#DIV/0!")
            sheet.write_datetime(1, 6, datetime.time(9, 5), workbook.add_format({"num_format": "hh:mm"}))

        document = read_bytes("a.xlsx", make_xlsx({"S": []}, add)).document()
        assert document.text == (
            "What: order\nDay: 2024-05-01\nMoment: 2024-05-01 10:30:00\nOk: true\nSum: 3\nTime: 09:05:00"
        )
        assert document.metadata == {
            **{"sheet": "S", "What": "order", "Day": "2024-05-01", "Moment": "2024-05-01T10:30:00"},
            **{"Ok": True, "Sum": 3, "Time": "09:05:00"},
        }

    def test_hidden_sheets_are_read_and_charts_are_not(self):
        def hide(workbook):
            workbook.worksheets()[1].hide()
            chart = workbook.add_chart({"type": "line"})
            chart.add_series({"values": "=Shown!$C$2:$C$3"})
            workbook.add_chartsheet("Chart").set_chart(chart)

        reading = read_bytes("a.xlsx", make_xlsx({"Shown": TABLE[:2], "Hidden": TABLE[:2]}, hide))
        assert [item.id for item in reading.items] == ["a.xlsx#Shown!2", "a.xlsx#Hidden!2"]

    def test_a_value_merged_over_rows_is_in_each_of_them(self):
        def merge(workbook):
            sheet = workbook.worksheets()[0]
            sheet.merge_range(1, 0, 2, 0, "Flour")
            sheet.merge_range(4, 0, 9, 1, "a note below")

        rows = [["Item", "Kind"], [None, "rye"], [None, "wheat"]]
        assert texts(read_bytes("a.xlsx", make_xlsx({"S": rows}, merge))) == {
            "a.xlsx#S!2": "Item: Flour\nKind: rye",
            "a.xlsx#S!3": "Item: Flour\nKind: wheat",
            "a.xlsx#S!5": "a note below",
        }

    def test_comments_are_in_the_row_they_are_written_on(self):
        def comment(workbook):
            workbook.worksheets()[0].write_comment("B3", "Is this enough?")

        rows = texts(read_bytes("a.xlsx", make_xlsx({"S": TABLE}, comment)))
        assert rows["a.xlsx#S!3"] == "Item: Salt\nKind: sea\nGrams: 10.5\n\nComment: Is this enough?"
        assert rows["a.xlsx#S!2"] == "Item: Flour\nKind: rye\nGrams: 500"

    def test_scripts_and_a_table_away_from_the_corner(self):
        rows = [[], [], [None, None, "اسم", "名前"], [None, None, "دقيق", "小麦粉"]]
        assert texts(read_bytes("a.xlsx", make_xlsx({"日本 1": rows}))) == {
            "a.xlsx#日本 1!4": "اسم: دقيق\n名前: 小麦粉"
        }


class TestRegions:
    def split(self, *rows: list) -> list:
        found = split_sheet(enumerate([list(row) for row in rows], start=1))
        return [part.values if isinstance(part, TableRow) else part.lines for part in found]

    def test_a_title_above_and_a_note_below_a_table(self):
        note = [[None], ["counted by Ann"]]
        table = [["Item", "Grams"], ["Flour", 500], ["Salt", 10]]
        assert self.split(["Stock of May"], [None], *table, *note) == [
            ["Stock of May"],
            {"Item": "Flour", "Grams": 500},
            {"Item": "Salt", "Grams": 10},
            ["counted by Ann"],
        ]
        assert self.split(["Stock of May"], ["Item", "Kind"], ["Flour", "rye"]) == [
            ["Stock of May"],
            {"Item": "Flour", "Kind": "rye"},
        ]

    def test_a_blank_row_does_not_end_a_table_and_new_names_begin_another(self):
        one = [["Item", "Grams"], ["Flour", 500], [None, None], ["Salt", 10]]
        assert self.split(*one, [None], ["Name", "City"], ["Ann", "Rom"]) == [
            {"Item": "Flour", "Grams": 500},
            {"Item": "Salt", "Grams": 10},
            {"Name": "Ann", "City": "Rom"},
        ]

    def test_years_and_blank_names(self):
        assert self.split(["Land", 2023, None, "Land"], ["Peru", 3, "x", "y"], ["Chile", None, None, 1]) == [
            ["Land 2023 Land", "Peru 3 x y", "Chile 1"]
        ]
        assert self.split(
            ["Land", 2023, None, "Note"], ["Peru", 3, "x", "y"], ["Chile", None, None, "z"]
        ) == [
            {"Land": "Peru", "2023": 3, "column C": "x", "Note": "y"},
            {"Land": "Chile", "2023": None, "column C": None, "Note": "z"},
        ]

    def test_numbers_without_words_and_forms_stay_as_they_are(self):
        assert self.split(["Jan", "Feb"], [1, 2], [3, 4]) == [["Jan Feb", "1 2", "3 4"]]
        assert self.split(["Name:", "Ann"], ["City:", "Rom"]) == [["Name: Ann", "City: Rom"]]
        day = datetime.date(2024, 5, 1)
        assert self.split(["Customer", "Ann"], ["Order", 17], ["Date", day]) == [
            ["Customer Ann", "Order 17", "Date 2024-05-01"]
        ]

    def test_a_row_that_has_more_cells_than_names(self):
        rows = [["a", "b"], *[["x", "y"]] * 40, ["x", "y", "z"]]
        assert self.split(*rows)[-1] == {"a": "x", "b": "y", "column C": "z"}

    def test_a_long_region_is_cut(self):
        parts = list(split_sheet((n, [n]) for n in range(1, 2502)))
        assert [(part.first, len(part.lines)) for part in parts if isinstance(part, Region)] == [
            *[(1, 1000), (1001, 1000), (2001, 501)]
        ]

    @pytest.mark.parametrize(
        ("place", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (16383, "XFD")]
    )
    def test_letters_of_columns(self, place, letters):
        assert column_letters(place) == letters


class TestOds:
    CELL = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'

    def row(self, *cells: str, repeated: int = 1) -> str:
        inner = "".join(cell if cell.startswith("<") else self.CELL.format(cell) for cell in cells)
        return f'<table:table-row table:number-rows-repeated="{repeated}">{inner}</table:table-row>'

    def sheet(self, name: str, *rows: str) -> str:
        return f'<table:table table:name="{name}">{"".join(rows)}</table:table>'

    def cell(self, kind: str, name: str, value: str, shown: str = "?") -> str:
        return (
            f'<table:table-cell office:value-type="{kind}" office:{name}="{value}">'
            f"<text:p>{shown}</text:p></table:table-cell>"
        )

    def test_values_of_every_type(self):
        data = make_ods(
            self.sheet(
                "S",
                self.row("What", "Sum", "Day", "Moment", "Ok", "Time", "Share"),
                self.row(
                    "a<text:s/><text:span>b</text:span> c",
                    self.cell("float", "value", "3.0"),
                    self.cell("date", "date-value", "2024-05-01"),
                    self.cell("date", "date-value", "2024-05-01T10:30:00"),
                    self.cell("boolean", "boolean-value", "true"),
                    self.cell("time", "time-value", "PT09H05M00S"),
                    self.cell("percentage", "value", "0.25"),
                ),
            )
        )
        document = read_bytes("a.ods", data).document()
        assert document.text == (
            "What: a b c\nSum: 3\nDay: 2024-05-01\nMoment: 2024-05-01 10:30:00\n"
            "Ok: true\nTime: 09:05:00\nShare: 0.25"
        )
        assert document.id == "a.ods#S!2"

    def test_repeated_blank_cells_and_rows_count(self):
        blank = '<table:table-cell table:number-columns-repeated="2"/>'
        end = '<table:table-cell table:number-columns-repeated="16000"/>'
        data = make_ods(
            self.sheet("One", self.row(blank, "Item", "Kind", end), self.row(blank, "Flour", "rye", end)),
            self.sheet("Two", self.row(blank, repeated=1_000_000), self.row("far below", end)),
        )
        assert texts(read_bytes("a.ods", data)) == {
            "a.ods#One!2": "Item: Flour\nKind: rye",
            "a.ods#Two!1000001": "far below",
        }

    def test_a_filled_row_that_is_repeated_without_end_is_bounded(self):
        reading = read_bytes("a.ods", make_ods(self.sheet("S", self.row("x", repeated=1_048_576))))
        (document,) = reading.items
        assert document.text == "\n".join(["x"] * 1000)

    def test_comments_and_white_space_between_cells(self):
        noted = '<table:table-cell office:value-type="string"><office:annotation><text:p>Really?</text:p>'
        noted += "</office:annotation><text:p>rye</text:p></table:table-cell>"
        rows = self.row("Item", "Kind") + "\n  " + self.row("Flour", noted).replace("><table:", ">\n<table:")
        assert read_bytes("a.ods", make_ods(self.sheet("S", rows))).document().text == (
            "Item: Flour\nKind: rye\n\nComment: Really?"
        )

    def test_a_flat_file(self):
        body = f"<office:spreadsheet>{self.sheet('S', self.row('Item', 'Kind'), self.row('Flour', 'rye'))}"
        content = odf("document", f"<office:body>{body}</office:spreadsheet></office:body>").encode()
        assert texts(read_bytes("a.fods", content)) == {"a.fods#S!2": "Item: Flour\nKind: rye"}


class TestDisguise:
    def test_a_web_page_that_is_called_xls(self):
        page = b"\n<html><body><table><tr><td>Flour</td><td>rye</td></tr></table></body></html>"
        assert read_bytes("a.xls", page).document().text == "Flour rye"

    def test_text_with_tabs_that_is_called_xls(self):
        assert texts(read_bytes("a.xls", b"Item\tKind\nFlour\trye\n")) == {
            "a.xls#2": "Item: Flour\nKind: rye"
        }


class TestDamage:
    def test_files_without_text(self):
        for name in ("a.xlsx", "a.xls", "a.ods"):
            assert read_bytes(name, b"").reason() == "no text in it"
        assert read_bytes("a.xlsx", make_xlsx({"S": []})).reason() == "no text in it"
        assert read_bytes("a.ods", make_ods('<table:table table:name="S"/>')).reason() == "no text in it"

    @pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)])
    def test_what_is_no_spreadsheet(self, data):
        reason = read_bytes("a.xlsx", data).reason()
        assert reason == "is not a spreadsheet that can be read: it is damaged, cut off or something else"

    def test_a_truncated_file(self):
        data = make_xlsx({"S": TABLE})
        assert (
            read_bytes("a.xlsx", data[: len(data) // 2]).reason().startswith("is not a valid zip container")
        )

    def test_a_cell_far_off_costs_its_sheet_alone(self):
        def far(workbook):
            sheet = workbook.add_worksheet("Far")
            sheet.write("A1", "near")
            sheet.write("XFD1048576", "far")
            tall = workbook.add_worksheet("Tall")
            tall.write("A1", "top")
            tall.write("A1048576", "bottom")

        reading = read_bytes("a.xlsx", make_xlsx({"S": TABLE[:2]}, far))
        skipped = [item for item in reading.items if isinstance(item, Skipped)]
        assert [item.reason for item in skipped] == [
            "sheet 'Far' has a cell too far from the others; delete what is in it, or save as CSV"
        ]
        assert [item.id for item in reading.items if not isinstance(item, Skipped)] == [
            *["a.xlsx#S!2", "a.xlsx#Tall!1", "a.xlsx#Tall!1048576"]
        ]

    def test_a_file_that_is_only_too_large_is_not_opened(self):
        def far(workbook):
            workbook.worksheets()[0].write("XFD1048576", "far")

        skipped, last = read_bytes("a.xlsx", make_xlsx({"S": [["near"]]}, far)).items
        assert isinstance(skipped, Skipped)
        assert skipped.reason.startswith("sheet 'S' has a cell too far")
        assert isinstance(last, Skipped)
        assert last.reason == "no text in it"

    def test_a_part_that_lies_about_its_size_is_not_unpacked(self):
        data = make_xlsx({"S": [["x" * 50, n] for n in range(1000)]})
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            size = container.getinfo("xl/worksheets/sheet1.xml").file_size
        lied = data.replace(struct.pack("<I", size), struct.pack("<I", 100))
        assert lied != data
        assert "cannot be unpacked" in read_bytes("a.xlsx", lied).reason()

    def test_a_bomb_costs_its_file_alone(self):
        members = {"xl/workbook.xml": "<x/>", "xl/worksheets/sheet1.xml": b" " * (200 * 2**20)}
        assert read_bytes("a.xlsx", make_zip(members)).reason().startswith("unpacks to more than ")
