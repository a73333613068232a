"""Word documents: what a reader of the page sees, in its order, and nothing twice."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO

import pytest

from indexing.documents.formats.docx_styles import format_number
from indexing.documents.marks import Mark
from tests.unit.documents.made_office import make_docx, make_zip, paragraph, table, word
from tests.unit.documents.reading import read_bytes

STYLES = (
    '<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="H2"><w:name w:val="heading 2"/><w:basedOn w:val="H1"/></w:style>'
    '<w:style w:styleId="Own"><w:name w:val="Our chapter"/><w:basedOn w:val="H2"/></w:style>'
    '<w:style w:styleId="Out"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
    '<w:style w:styleId="T"><w:name w:val="Title"/></w:style>'
    '<w:style w:styleId="L1"><w:name w:val="loop"/><w:basedOn w:val="L2"/></w:style>'
    '<w:style w:styleId="L2"><w:name w:val="loop 2"/><w:basedOn w:val="L1"/></w:style>'
)


def styled(text: str, style: str) -> str:
    return paragraph(text, f'<w:pStyle w:val="{style}"/>')


def listed(text: str, list_: int, depth: int = 0) -> str:
    return paragraph(text, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_}"/></w:numPr>')


def run(content: str) -> str:
    return f"<w:r>{content}</w:r>"


def text_of(body: str, **parts) -> str:
    return read_bytes("a.docx", make_docx(body, **parts)).document().text


class TestText:
    def test_runs_breaks_tabs_and_symbols(self):
        body = paragraph(
            run('<w:t xml:space="preserve">Flour </w:t>')
            + run(
                "<w:t>and</w:t><w:tab/><w:t>water</w:t><w:br/><w:t>next</w:t><w:noBreakHyphen/><w:t>line</w:t>"
            )
            + run('<w:sym w:font="Symbol" w:char="03B1"/><w:sym w:font="Wingdings" w:char="F0E0"/>')
        )
        assert text_of(body) == "Flour and water\nnext-lineα"

    def test_scripts_are_kept_in_their_order(self):
        assert (
            text_of(paragraph("مرحبا بالعالم") + paragraph("日本語、中文")) == "مرحبا بالعالم\n\n日本語、中文"
        )

    def test_what_is_not_on_the_page_is_left_out(self):
        body = paragraph(
            run("<w:t>Kept</w:t>")
            + f"<w:del>{run('<w:delText> deleted</w:delText>')}</w:del>"
            + f"<w:moveFrom>{run('<w:t> moved</w:t>')}</w:moveFrom>"
            + f"<w:ins>{run('<w:t> inserted</w:t>')}</w:ins>"
            + run("<w:rPr><w:vanish/></w:rPr><w:t> hidden</w:t>")
            + run('<w:rPr><w:vanish w:val="0"/></w:rPr><w:t> shown</w:t>')
            + run("<w:instrText> PAGEREF _Toc1 \\h </w:instrText>")
            + f"<w:ruby><w:rt>{run('<w:t>かんじ</w:t>')}</w:rt>"
            + f"<w:rubyBase>{run('<w:t> 漢字</w:t>')}</w:rubyBase></w:ruby>",
        )
        assert text_of(body) == "Kept inserted shown 漢字"

    def test_tables_are_lines_and_tables_in_cells_are_in_them(self):
        inner = table([paragraph("x"), paragraph("y")])
        body = (
            paragraph("Before")
            + table(
                [paragraph("Name"), paragraph("Weight")],
                [paragraph("Flour") + paragraph("type 550"), paragraph("500 g")],
                ["<w:tcPr><w:vMerge/></w:tcPr>" + paragraph(""), inner + paragraph("z")],
            )
            + paragraph("After")
        )
        assert text_of(body) == "Before\n\nName Weight\nFlour type 550 500 g\nx y z\n\nAfter"

    def test_a_text_box_is_read_once_in_either_form(self):
        box = f"<w:txbxContent>{paragraph('In the box')}</w:txbxContent>"
        new = (
            f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice>"
            f"<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent>"
        )
        old = f"<w:pict><v:shape>{box.replace('In the', 'In an old')}</v:shape></w:pict>"
        body = paragraph(run(new) + run("<w:t>Beside it</w:t>")) + paragraph(run(old))
        assert text_of(body) == "In the box\n\nBeside it\n\nIn an old box"

    def test_the_description_of_a_picture_is_text_unless_a_program_made_it_up(self):
        described = run('<w:drawing><wp:docPr descr="A loaf on a shelf"/></w:drawing>')
        named = run('<w:drawing><wp:docPr descr="image1.png"/></w:drawing>')
        assert text_of(paragraph(run("<w:t>See</w:t>") + described + named)) == "See A loaf on a shelf"

    def test_notes_and_comments_follow_their_paragraph(self):
        body = (
            paragraph(
                run("<w:t>Salt</w:t>") + run('<w:footnoteReference w:id="2"/>') + run("<w:t> it.</w:t>")
            )
            + paragraph(
                run("<w:t>Wait.</w:t>")
                + run('<w:endnoteReference w:id="1"/>')
                + run('<w:commentReference w:id="0"/>')
            )
            + paragraph(run('<w:footnoteReference w:id="2"/>') + run("<w:t>again</w:t>"))
        )
        text = text_of(
            body,
            footnotes=f'<w:footnote w:id="2">{paragraph("Not too much.")}</w:footnote>',
            endnotes=f'<w:endnote w:id="1">{paragraph("A night.")}{paragraph("Or two.")}</w:endnote>',
            comments=f'<w:comment w:id="0" w:author="Ann">{paragraph("How long?")}</w:comment>',
        )
        assert text == (
            "Salt [1] it.\n\n[1] Not too much.\n\nWait. [2]\n\n[2] A night.\nOr two.\n\n"
            "Comment by Ann: How long?\n\n[3]again"
        )

    def test_a_note_within_a_table_follows_the_table(self):
        body = table(
            [paragraph(run("<w:t>a</w:t>") + run('<w:footnoteReference w:id="2"/>')), paragraph("b")]
        )
        notes = f'<w:footnote w:id="2">{paragraph("Note.")}</w:footnote>'
        assert text_of(body + paragraph("c"), footnotes=notes) == "a [1] b\n\n[1] Note.\n\nc"

    def test_headers_and_footers_come_once_at_the_end(self):
        text = text_of(
            paragraph("Body"),
            header1=paragraph("Letterhead"),
            header2=paragraph("Letterhead"),
            footer1=paragraph("Bank account"),
        )
        assert text == "Body\n\nLetterhead\n\nBank account"


class TestStructure:
    def test_headings_by_name_by_ancestor_and_by_outline_level(self):
        body = (
            styled("The book", "T")
            + styled("One", "H1")
            + styled("Two", "H2")
            + styled("Three", "Own")
            + styled("Four", "Out")
            + styled("Text", "L1")
            + paragraph("Own level", '<w:outlineLvl w:val="0"/>')
            + paragraph("Body level", '<w:outlineLvl w:val="9"/>')
        )
        document = read_bytes("a.docx", make_docx(body, styles=STYLES)).document()
        assert document.title == "The book"
        assert document.text == "The book\n\nOne\n\nTwo\n\nThree\n\nFour\n\nText\n\nOwn level\n\nBody level"
        places = {document.text[mark.start :].split("\n")[0]: mark for mark in document.marks}
        assert {name: mark.level for name, mark in places.items()} == {
            **{"One": 1, "Two": 2, "Three": 2, "Four": 3, "Own level": 1}
        }
        assert places["One"] == Mark(len("The book\n\n"), "heading", "One", 1)

    def test_lists_have_the_numbers_that_are_shown(self):
        def level(depth: int, start: int, form: str, pattern: str) -> str:
            values = {"start": start, "numFmt": form, "lvlText": pattern}
            inner = "".join(f'<w:{name} w:val="{value}"/>' for name, value in values.items())
            return f'<w:lvl w:ilvl="{depth}">{inner}</w:lvl>'

        def list_(number: int, abstract: int, more: str = "") -> str:
            return f'<w:num w:numId="{number}"><w:abstractNumId w:val="{abstract}"/>{more}</w:num>'

        again = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'
        levels = level(0, 4, "decimal", "%1.") + level(1, 1, "lowerLetter", "%1.%2)")
        numbering = (
            f'<w:abstractNum w:abstractNumId="7">{levels}</w:abstractNum>'
            f'<w:abstractNum w:abstractNumId="8">{level(0, 1, "bullet", "o")}</w:abstractNum>'
            + list_(1, 7) + list_(2, 8) + list_(3, 7, again)
        )  # fmt: skip
        body = (
            listed("a", 1) + listed("b", 1, 1) + listed("c", 1, 1) + listed("d", 1) + listed("e", 1, 1)
            + listed("f", 2) + listed("g", 3) + listed("h", 0) + listed("i", 99) + paragraph("end")
        )  # fmt: skip
        assert text_of(body, numbering=numbering) == (
            "4. a\n4.a) b\n4.b) c\n5. d\n5.a) e\n- f\n1. g\n\nh\n\ni\n\nend"
        )

    @pytest.mark.parametrize(
        ("number", "form", "shown"),
        [
            *[
                (3, "decimal", "3"),
                (3, "decimalZero", "03"),
                (27, "lowerLetter", "aa"),
                (2, "upperLetter", "B"),
            ],
            *[
                (1994, "upperRoman", "MCMXCIV"),
                (4, "lowerRoman", "iv"),
                (0, "upperRoman", "0"),
                (5, "none", ""),
            ],
            *[(10**8, "lowerLetter", "100000000"), (7, "chineseCounting", "7")],
        ],
    )
    def test_forms_of_numbers(self, number, form, shown):
        assert format_number(number, form) == shown

    def test_title_and_author_of_the_file(self):
        document = read_bytes(
            "a.docx", make_docx(paragraph("x"), core=("On bread", "Ann &amp; Bob"))
        ).document()
        assert (document.title, document.metadata) == ("On bread", {"author": "Ann & Bob"})
        made_up = make_docx(styled("The book", "T"), core=("Microsoft Word - x.doc", ""), styles=STYLES)
        assert read_bytes("a.docx", made_up).document().title == "The book"


class TestDamage:
    def test_files_without_text(self):
        assert read_bytes("a.docx", b"").reason() == "no text in it"
        assert read_bytes("a.docx", make_docx(paragraph(""))).reason() == "no text in it"

    def test_what_is_no_word_document(self):
        assert read_bytes("a.docx", b"plain words").reason().startswith("is not a valid zip container")
        assert read_bytes("a.docx", make_zip({"a.txt": "x"})).reason() == (
            "is a zip container without a document of this kind in it"
        )
        old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
        assert read_bytes("a.docx", old).reason() == (
            "is encrypted, or of an Office before 2007; save it in today's format without a password"
        )

    def test_a_truncated_file(self):
        data = make_docx(paragraph("x"))
        assert (
            read_bytes("a.docx", data[: len(data) // 2]).reason().startswith("is not a valid zip container")
        )

    def test_a_fault_in_the_xml_loses_only_what_follows(self):
        whole = word("document", f"<w:body>{paragraph('First.')}{paragraph('Second.')}</w:body>")
        cut = whole[: whole.index("Second") + 3]
        reading = read_bytes("a.docx", make_zip({"word/document.xml": cut}))
        assert reading.document().text == "First.\n\nSec"
        assert reading.notes == ["is damaged in places: what could be read of it was"]

    def test_entities_are_not_followed(self, tmp_path):
        secret = tmp_path / "secret.txt"
        secret.write_text("secret")
        head = (
            f'<!DOCTYPE d [<!ENTITY s SYSTEM "file://{secret}"><!ENTITY a "aaaaaaaaaa">'
            + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
            + "]>"
        )
        body = word("document", paragraph("<w:r><w:t>Seen &s; &i;</w:t></w:r>")).replace("?>", "?>" + head, 1)
        assert read_bytes("a.docx", make_zip({"word/document.xml": body})).document().text == "Seen"

    def test_a_bomb_costs_its_file_alone(self):
        data = make_zip({"word/document.xml": b" " * (200 * 2**20)})
        assert read_bytes("a.docx", data).reason().startswith("unpacks to more than ")

    def test_a_part_that_lies_about_its_size_is_cut_there(self):
        data = bytearray(make_docx(paragraph("x" * 5000)))
        with zipfile.ZipFile(BytesIO(bytes(data))) as container:
            size = container.getinfo("word/document.xml").file_size
        lied = bytes(data).replace(struct.pack("<I", size), struct.pack("<I", 100))
        assert "cannot be unpacked" in read_bytes("a.docx", lied).reason()

    def test_deep_nesting_ends_in_a_reason_or_in_text(self):
        deep = "<w:sdt>" * 5000 + paragraph("deep") + "</w:sdt>" * 5000
        reading = read_bytes("a.docx", make_docx(paragraph("shallow") + deep))
        assert reading.document().text == "shallow"
        tables = "<w:tbl><w:tr><w:tc>" * 60 + paragraph("deep") + "</w:tc></w:tr></w:tbl>" * 60
        assert text_of(tables) == "deep"
