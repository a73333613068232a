"""Office readers take time in proportion to the file: four times the paragraphs, four times the time."""

from __future__ import annotations

import time

import pytest

from indexing.documents.model import Document
from tests.unit.documents.made_office import make_docx, make_odt, make_pptx, paragraph, shape, table
from tests.unit.documents.made_pdf import Pdf, flowing
from tests.unit.documents.reading import read_bytes
from tests.unit.documents.test_epub import make_epub
from tests.unit.documents.test_rtf import rtf
from tests.unit.documents.test_sheets import TABLE, make_xlsx

ODT_TEXT = "<text:p>Flour and <text:span>water</text:span>.</text:p>"
ODT_ITEM = f"<text:list><text:list-item>{ODT_TEXT}</text:list-item></text:list>"
ODT_CELL = '<table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell>'
ODT_ROW = f"<table:table-row>{ODT_CELL * 3}</table:table-row>"
NUMBERED = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
FORMS = {
    "paragraphs.docx": lambda n: make_docx(paragraph("Flour and water.", NUMBERED) * n),
    "one-row.docx": lambda n: make_docx(table([paragraph("x")] * n)),
    "runs.docx": lambda n: make_docx(paragraph("<w:r><w:t>x</w:t></w:r>" * n)),
    "slides.pptx": lambda n: make_pptx([shape("Flour", kind="title") + shape("and water")] * (n // 8)),
    "shapes.pptx": lambda n: make_pptx([shape("Flour and water") * n]),
    "items.odt": lambda n: make_odt(ODT_ITEM * n),
    "rows.ods": lambda n: make_odt(f"<table:table>{ODT_ROW * n}</table:table>", kind="spreadsheet"),
    "rows.xlsx": lambda n: make_xlsx({"S": [TABLE[0], *TABLE[1:2] * n]}),
    "numbers.xlsx": lambda n: make_xlsx({"S": [[1, 2.5]] * n}),
    "words.rtf": lambda n: rtf(r"{\b Flour} and \u1087?water\par" * n),
    "pages.pdf": lambda n: Pdf([flowing("Flour and\nwater.") for _ in range(n // 20)]).build(),
    "lines.pdf": lambda n: Pdf([flowing("Flour and water.\n" * n, step=0.1)]).build(),
    "page.epub": lambda n: make_epub(first="<p>Flour &amp; <b>water</b>&nbsp;on rye.</p>" * n),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_four_times_the_file_takes_four_times_the_time(name):
    small, large = FORMS[name](1500), FORMS[name](6000)
    read_bytes(name, small).items  # noqa: B018 - imports and the first compilation are not counted
    ratios = []
    for _ in range(3):
        ratios.append(seconds(name, large) / max(seconds(name, small), 0.002))
        if ratios[-1] < 8:
            return
    raise AssertionError(f"four times the file took {min(ratios):.1f} times as long")


def seconds(name: str, data: bytes) -> float:
    started = time.process_time()
    reading = read_bytes(name, data)
    took = time.process_time() - started
    assert isinstance(reading.items[-1], Document)
    return took
