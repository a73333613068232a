"""PDF: its text as it was meant, its pages and headings, and the reason where there is no text."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pypdfium2
import pytest

from indexing.documents.formats import ocr
from indexing.documents.formats.titles import sensible_title
from indexing.documents.marks import Mark, Place, place_at
from tests.unit.documents.made_pdf import Line, Pdf, flowing
from tests.unit.documents.reading import read_bytes

ASSETS = Path(__file__).parents[1] / "assets" / "documents"
PROSE = """Bread rises because yeast turns sugar into gas, and the gas is caught in a net of
gluten. A cold kitchen slows this down: at eight degrees a dough may need a whole
night, and it tastes the better for it. Do not hurry a dough that you want to remem-
ber."""


def read_pages(*pages, **options) -> str:
    return read_bytes("a.pdf", Pdf(list(pages), **options).build()).document().text


class TestText:
    def test_lines_of_a_paragraph_flow_and_divided_words_are_whole(self):
        assert read_pages(flowing(PROSE)) == (
            "Bread rises because yeast turns sugar into gas, and the gas is caught in a net of gluten. "
            "A cold kitchen slows this down: at eight degrees a dough may need a whole night, "
            "and it tastes the better for it. Do not hurry a dough that you want to remember."
        )

    def test_a_hyphen_stays_where_the_document_writes_the_word_with_one(self):
        text = (
            "This part of the handbook is about what one of our oldest guests once called a well-\n"
            "known secret: that a dough in which the salt was forgotten is a flat and a sad thing.\n"
            "It is well-known by now."
        )
        assert "called a well-known secret" in read_pages(flowing(text))

    def test_a_hyphen_before_a_digit_stays_without_a_blank(self):
        text = (
            "The old oven has a controller whose programme was written for a machine with 16-\n"
            "bit words, and nobody who could change it is with us any more, so it stays as it is."
        )
        assert "with 16-bit words" in read_pages(flowing(text))

    def test_lists_and_code_keep_their_lines(self):
        text = "Take:\n• flour\n• water\n1. mix\n2. wait\n$ bake --hot\n$ eat"
        assert read_pages(flowing(text)) == text

    def test_an_item_of_several_lines_flows(self):
        text = (
            "• water, a little of it at a time, so that the dough stays firm and does not run away\n"
            "to the sides\n• salt"
        )
        lines = flowing(text)
        lines[1].x += 12  # what hangs under its bullet
        assert read_pages(lines) == text.replace("away\n", "away ")

    def test_a_gap_and_a_larger_line_part_paragraphs(self):
        page = [Line(50, 800, "A heading", 16), *flowing("First.\n\nSecond.\nAgain.\nMore.", y=770)]
        assert read_pages(page) == "A heading\n\nFirst.\n\nSecond.\nAgain.\nMore."

    def test_an_indented_line_begins_a_paragraph_although_the_one_before_is_full(self):
        lines = flowing(
            PROSE.replace(
                "remem-\nber.",
                "remember\nat night. And in the morning it is there, as large as two of them were, so\ngood.",
            )
        )
        lines[2].x += 20
        assert "need a whole\nnight, and" in read_pages(lines)

    def test_columns_stay_apart(self):
        left = "The left column speaks of\nrye and nothing else here\nuntil it ends."
        right = "The right column speaks of\nwheat only, and is longer\nthan the other."
        page = [*flowing(left, x=50), *flowing(right, x=320)]
        assert read_pages(page) == f"{left}\n\n{right}"

    def test_cells_of_a_row_are_lines_of_their_own_block(self):
        page = [
            Line(50, 700, "Flour"),
            Line(300, 700, "500 g"),
            Line(50, 680, "Salt"),
            Line(300, 680, "10 g"),
        ]
        words = read_pages(page).split()
        assert words == ["Flour", "500", "g", "Salt", "10", "g"]

    def test_chinese_and_japanese_lines_join_without_a_blank(self):
        text = "日本語の文書は空白なしで書かれるので行末で空白を入れてはいけません\nまた次の行に続くのです。"
        assert read_pages(flowing(text)) == text.replace("\n", "")

    def test_text_that_is_set_from_right_to_left_is_in_reading_order(self):
        assert read_pages(flowing("مرحبا بالعالم"[::-1])) == "مرحبا بالعالم"

    def test_characters_beyond_the_basic_plane_keep_their_places(self):
        text = "𝒜 letter and 😀 a face, and a line that goes on for so long that it is broken at\nits end."
        page = flowing(text)
        assert read_pages(page).startswith("𝒜 letter and 😀 a face, and a line")

    def test_the_dots_of_a_table_of_contents_are_one_sign(self):
        text = "Contents\n1 Flour" + "." * 90 + "3\n2 Salt " + ". " * 45 + "12\nEnd of the table of contents."
        assert (
            read_pages(flowing(text)) == "Contents\n1 Flour … 3\n2 Salt … 12\nEnd of the table of contents."
        )

    def test_comments_and_filled_fields_follow_their_page(self):
        written = {
            0: [
                "/Subtype /Text /Contents (Is that \\344 lot?)",
                "/Subtype /Popup /Contents (never)",
                "/Subtype /Link /A << /S /URI /URI (http://x.org) >>",
                "/Subtype /Widget /FT /Tx /T (name) /V <FEFF00DC0062>",
                "/Subtype /Widget /FT /Btn /T (box) /V /Yes",
                "/Subtype /Widget /FT /Tx /T (empty)",
            ]
        }
        text = read_pages(flowing("One."), flowing("Two."), annotations=written)
        assert text == "One.\n\nComment: Is that ä lot?\n\nÜb\n\nTwo."

    def test_ligatures_and_hard_blanks_are_plain(self):
        assert read_pages(flowing("ﬁne ﬂour\u00a0here")) == "fine flour here"


class TestPlaces:
    def test_pages_and_outline_are_marks(self):
        pdf = Pdf(
            [
                [Line(50, 800, "1 Baking bread", 16), *flowing("It rises.", y=770)],
                flowing("Still rising."),
                [*flowing("The end of it."), Line(50, 700, "2 Eating", 16), *flowing("With butter.", y=670)],
            ],
            outline=[("Baking bread", 0), ("Eating", 2), ("Index", 2)],
        )
        document = read_bytes("a.pdf", pdf.build()).document()
        text = "1 Baking bread\n\nIt rises.\n\nStill rising.\n\nThe end of it.\n\n2 Eating\n\nWith butter."
        assert document.text == text
        assert document.marks == (
            Mark(0, "page", 1),
            Mark(0, "heading", "Baking bread", 1),
            Mark(text.index("Still"), "page", 2),
            Mark(text.index("The end"), "page", 3),
            Mark(text.index("2 Eating"), "heading", "Eating", 1),
            Mark(text.index("2 Eating"), "heading", "Index", 1),
        )
        assert place_at(document.marks, text, text.index("Still")) == Place(2, None, ("Baking bread",))

    def test_an_empty_page_counts(self):
        document = read_bytes("a.pdf", Pdf([flowing("One."), [], flowing("Three.")]).build()).document()
        assert place_at(document.marks, document.text, document.text.index("Three")).page == 3
        assert place_at(document.marks, document.text, 0).page == 1

    def test_title_and_author_as_the_file_says(self):
        pdf = Pdf([flowing("Text.")], information={"Title": "Brot – ein Buch", "Author": "Ä. Bäcker"})
        document = read_bytes("a.pdf", pdf.build()).document()
        assert (document.title, document.metadata) == ("Brot – ein Buch", {"author": "Ä. Bäcker"})

    @pytest.mark.parametrize(
        "title",
        [
            *[
                "Microsoft Word - x.doc",
                "untitled",
                "Untitled-1",
                "report final.docx",
                "main.dvi",
                "Slide 1",
                "  ",
                "...",
            ],
            *["PowerPoint Presentation", "Document1", None, 3],
        ],
    )
    def test_what_a_program_made_up_is_no_title(self, title):
        assert sensible_title(title) == ""

    def test_a_title_is_on_one_line_and_bounded(self):
        assert sensible_title(" The\n good  book ") == "The good book"
        assert sensible_title("Documentary films") == "Documentary films"
        assert sensible_title("x" * 10**6) == "x" * 300


class TestNoText:
    def test_an_encrypted_file_says_so(self):
        reading = read_bytes("a.pdf", (ASSETS / "locked.pdf").read_bytes())
        assert reading.reason() == "is encrypted: it needs a password; save a copy without one"

    def test_a_file_that_only_its_owner_may_change_is_read(self):
        reading = read_bytes("a.pdf", (ASSETS / "unlocked.pdf").read_bytes())
        assert reading.document().text == "Only the owner may print this."

    @pytest.mark.parametrize(
        "data", [b"%PDF-1.7\n", b"<html>no PDF</html>", Pdf([flowing("x")]).build()[:700]]
    )
    def test_a_damaged_file_is_one_reason(self, data):
        reason = "is not a PDF that can be read: it is damaged, cut off or something else"
        assert read_bytes("a.pdf", data).reason() == reason

    def test_an_empty_file_and_empty_pages_have_no_text(self):
        assert read_bytes("a.pdf", b"").reason() == "no text in it"
        assert read_bytes("a.pdf", Pdf([[], []]).build()).reason() == "no text in it"

    def test_a_lost_cross_reference_table_is_found_again(self):
        data = Pdf([flowing("Still here.")]).build()
        assert (
            read_bytes("a.pdf", re.sub(rb"startxref\n\d+", b"startxref\n0", data)).document().text
            == "Still here."
        )

    def test_a_small_picture_is_no_scan(self):
        pdf = (
            Pdf([(4, 4, bytes(16))]).build().replace(b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 5955 8425]")
        )
        assert read_bytes("a.pdf", pdf).reason() == "no text in it"


class TestScanned:
    @pytest.fixture(autouse=True)
    def _look_for_tesseract_anew(self):
        ocr.find_tesseract.cache_clear()
        yield
        ocr.find_tesseract.cache_clear()

    @staticmethod
    def scan(text: str) -> tuple[int, int, bytes]:
        pdf = pypdfium2.PdfDocument(io.BytesIO(Pdf([flowing(text, size=14, step=18)]).build()))
        pixels = pdf[0].render(scale=200 / 72, grayscale=True).to_numpy()
        pdf.close()
        return pixels.shape[1], pixels.shape[0], pixels.tobytes()

    def test_it_is_named_for_what_it_is(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        scanned = self.scan("Yeast turns sugar into gas.")
        reading = read_bytes("a.pdf", Pdf([scanned]).build())
        assert reading.reason() == "has no text: a scanned PDF; install tesseract to read it"
        reading = read_bytes("a.pdf", Pdf([flowing("Words."), scanned]).build())
        assert reading.document().text == "Words."
        assert reading.notes == ["has pages that are pictures without text; install tesseract to read them"]

    def test_tesseract_reads_it_where_it_is_installed(self):
        if ocr.find_tesseract() is None:
            pytest.skip("tesseract is not installed")
        scanned = self.scan("Yeast turns sugar into gas, and\nthe gas is caught in gluten.")
        document = read_bytes("a.pdf", Pdf([flowing("Words."), scanned]).build()).document()
        assert re.sub(r"[^\w\s]", "", document.text) == (
            "Words\n\nYeast turns sugar into gas and the gas is caught in gluten"
        )
        assert document.marks[1] == Mark(len("Words.\n\n"), "page", 2)

    def tesseract(self, monkeypatch, folder, script: str) -> None:
        program = folder / "tesseract"
        program.write_text(
            f"#!/bin/sh\n[ $1 = --list-langs ] && {{ echo List:; echo eng; echo osd; exit; }}\n{script}\n"
        )
        program.chmod(0o700)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def test_a_page_on_which_it_fails_is_said(self, monkeypatch, tmp_path):
        self.tesseract(monkeypatch, tmp_path, "cat > /dev/null; exit 1")
        reading = read_bytes("a.pdf", Pdf([self.scan("Yeast.")]).build())
        assert reading.reason() == "has no text: a scanned PDF on which tesseract found no words"

    def test_its_time_is_bounded(self, monkeypatch, tmp_path):
        self.tesseract(monkeypatch, tmp_path, "cat > /dev/null; exec sleep 20")
        monkeypatch.setattr(ocr, "MOST_SECONDS", 0.4)
        reading = read_bytes("a.pdf", Pdf([flowing("Words."), *[self.scan("Yeast.")] * 3]).build())
        assert reading.document().text == "Words."
        assert reading.notes == ["is scanned: tesseract read 0 of its 3 pages in the time allowed"]

    def test_words_that_it_divides_are_whole(self, monkeypatch, tmp_path):
        self.tesseract(
            monkeypatch, tmp_path, "cat > /dev/null; printf 'A fer-\\nment of\\nyeast.\\n\\nNext.\\n\\f'"
        )
        reading = read_bytes("a.pdf", Pdf([self.scan("Yeast.")]).build())
        assert reading.document().text == "A ferment of yeast.\n\nNext."
