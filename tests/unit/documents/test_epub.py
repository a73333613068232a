"""Books: the pages in the order of the spine, the table of contents as headings."""

from __future__ import annotations

import pytest

from indexing.documents.formats.assembly import Heading, assemble
from indexing.documents.marks import Mark, Place, place_at
from tests.unit.documents.made_office import make_zip
from tests.unit.documents.reading import read_bytes

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
PAGE = (
    '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
    "<head><title/></head><body>{}</body></html>"
)
NAV = (
    '<nav epub:type="landmarks"><ol><li><a href="c2.xhtml">no</a></li></ol></nav>'
    '<nav epub:type="toc"><ol>'
    '<li><a href="c%201.xhtml">Flour</a><ol><li><a href="c%201.xhtml#r">On <i>rye</i></a></li></ol></li>'
    '<li><a href="c2.xhtml">Salt</a></li></ol></nav>'
)
NCX = (
    "<ncx><navMap><navPoint><navLabel><text>Flour</text></navLabel><content src='c%201.xhtml'/>"
    "<navPoint><navLabel><text>On rye</text></navLabel><content src='c%201.xhtml#r'/></navPoint></navPoint>"
    "<navPoint><navLabel><text>Salt</text></navLabel><content src='c2.xhtml'/></navPoint></navMap></ncx>"
)
FIRST = "<h1>Flour</h1><p>See On rye.</p><h2>On rye</h2><p>It&nbsp;is&mdash;dark.</p><pre>a  b</pre>"


def make_epub(*, contents: str = "nav", first: str = FIRST, more: dict[str, str] | None = None) -> bytes:
    nav = '<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
    ncx = '<item id="x" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    book = (
        '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>On bread</dc:title>'
        "<dc:creator>Ann</dc:creator><dc:creator>Bob</dc:creator></metadata><manifest>"
        '<item id="b" href="c2.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="c%201.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="i" href="a.png" media-type="image/png"/>'
        f"{nav if contents == 'nav' else ''}{ncx if contents == 'ncx' else ''}</manifest>"
        '<spine toc="x"><itemref idref="n"/><itemref idref="a"/><itemref idref="i"/><itemref idref="b"/>'
        '<itemref idref="b"/><itemref idref="lost"/></spine></package>'
    )
    return make_zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": book,
            "OEBPS/nav.xhtml": PAGE.format(NAV),
            "OEBPS/toc.ncx": NCX,
            "OEBPS/c 1.xhtml": PAGE.format(first),
            "OEBPS/c2.xhtml": PAGE.format("<h1>Salt</h1><p>塩, ملح.</p>"),
            **(more or {}),
        }
    )


TEXT = "Flour\n\nSee On rye.\n\nOn rye\n\nIt is—dark.\n\na  b\n\nSalt\n\n塩, ملح."


@pytest.mark.parametrize("contents", ["nav", "ncx"])
def test_pages_in_order_with_the_table_of_contents(contents):
    document = read_bytes("a.epub", make_epub(contents=contents)).document()
    assert document.text.replace("\u00a0", " ") == TEXT
    assert (document.title, document.metadata) == ("On bread", {"author": "Ann"})
    assert document.marks == (
        Mark(0, "heading", "Flour", 1),
        Mark(TEXT.index("On rye\n"), "heading", "On rye", 2),
        Mark(TEXT.index("Salt"), "heading", "Salt", 1),
    )
    assert place_at(document.marks, document.text, TEXT.index("dark")) == Place(headings=("Flour", "On rye"))


def test_without_a_table_of_contents():
    document = read_bytes("a.epub", make_epub(contents="none")).document()
    assert (document.text.replace("\u00a0", " "), document.marks) == (TEXT, ())


def test_a_page_that_is_no_xml_keeps_what_can_be_read():
    reading = read_bytes("a.epub", make_epub(first="<p>One<br>Two &undefined; <b>three</p><p>Four"))
    assert reading.document().text.startswith("One\nTwo")
    assert "Four" in reading.document().text
    assert reading.notes == ["is damaged in places: what could be read of it was"]


def test_protected_books_are_named_and_obfuscated_fonts_are_not():
    entry = (
        '<encryption><EncryptedData><EncryptionMethod Algorithm="{}"/><CipherData><CipherReference URI="{}"/>'
        "</CipherData></EncryptedData></encryption>"
    )
    locked = {
        "META-INF/encryption.xml": entry.format(
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/c%201.xhtml"
        )
    }
    reason = read_bytes("a.epub", make_epub(more=locked)).reason()
    assert reason == "is a book that is protected against copying: it cannot be read"
    fonts = {
        "META-INF/encryption.xml": entry.format("http://www.idpf.org/2008/embedding", "OEBPS/c%201.xhtml")
    }
    assert read_bytes("a.epub", make_epub(more=fonts)).document().title == "On bread"


def test_damaged_files():
    assert read_bytes("a.epub", b"").reason() == "no text in it"
    assert read_bytes("a.epub", make_epub()[:900]).reason().startswith("is not a valid zip container")
    assert (
        read_bytes("a.epub", make_zip({"a.txt": "x"})).reason() == "is a zip container without a book in it"
    )
    empty = make_zip({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": "<package/>"})
    assert read_bytes("a.epub", empty).reason() == "no text in it"


def test_a_path_out_of_the_container_is_a_page_that_is_not_there(tmp_path):
    (tmp_path / "secret.xhtml").write_text(PAGE.format("secret"))
    href = f"../../../../..{tmp_path}/secret.xhtml"
    book = (
        f'<package><manifest><item id="a" href="{href}" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    data = make_zip({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": book})
    assert read_bytes("a.epub", data).reason() == "no text in it"


def test_headings_that_are_not_in_the_text_stand_where_their_part_begins():
    text, marks = assemble(
        ["", "one\n\ntwo"], {0: [Heading("x", 1)], 1: [Heading("two", 1), Heading("y", 2)]}, pages=True
    )
    assert text == "one\n\ntwo"
    assert marks == (
        Mark(0, "page", 1),
        Mark(0, "heading", "x", 1),
        Mark(0, "page", 2),
        Mark(5, "heading", "two", 1),
        Mark(5, "heading", "y", 2),
    )
