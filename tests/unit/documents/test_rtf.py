"""RTF: text in its character sets, headings, tables, notes; nothing that is not on the page."""

from __future__ import annotations

import pytest

from indexing.documents.marks import Mark
from tests.unit.documents.reading import read_bytes

FONTS = (
    r"{\fonttbl{\f0\fnil\fcharset0 Times New Roman;}{\f1\fcharset204 Arial Cyr;}{\f2\fcharset128 MS Mincho;}"
    r"{\f3\fcharset2 Symbol;}{\f4\fcharset2 Wingdings;}}"
)
STYLES = r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 Chapter;}{\s2 heading 2;}}"


def rtf(body: str | bytes, head: str = r"\ansi\ansicpg1252\deff0" + FONTS + STYLES) -> bytes:
    body = body.encode("latin-1") if isinstance(body, str) else body
    return b"{\\rtf1" + head.encode() + b"\n" + body + b"}"


def text_of(body: str | bytes, **options) -> str:
    return read_bytes("a.rtf", rtf(body, **options)).document().text


class TestCharacters:
    def test_paragraphs_lines_and_special_characters(self):
        body = (
            "One \\b two\\b0  three\\par\r\nFour\\line five\\tab six\\~seven\\_eight exam\\-ple\\par\n"
            "\\ldblquote nine\\rdblquote\\emdash \\{ten\\}\\\\"
        )
        assert text_of(body) == "One two three\n\nFour\nfive six seven-eight example\n\n“nine”—{ten}\\"

    def test_each_character_set(self):
        assert text_of(r"\f1 \'cf\'f0\'e8\'e2\'e5\'f2") == "Привет"
        assert text_of(b"\\f2 \\'93\\'fa\\'96\\{") == "日本"
        assert text_of(b"\\f2 " + "日語".encode("cp932")) == "日語"
        assert text_of(r"\f3 abS\'b7 1\f4 xyz\f0 .") == "αβΣ• 1."

    @pytest.mark.parametrize(
        ("head", "text"), [(r"\ansicpg1251", "Ж"), (r"\mac", "∆"), (r"\pc", "╞"), (r"\ansicpg99", "Æ")]
    )
    def test_the_character_set_of_the_document(self, head, text):
        assert text_of(r"\'c6", head=head) == text

    def test_the_default_font_has_a_character_set_too(self):
        head = r"\ansi\deff7{\fonttbl{\f7\fcharset161 Greek;}}"
        assert text_of(r"\'e1\'e2 \plain \'e3", head=head) == "αβ γ"

    def test_characters_by_number_and_what_stands_in_for_them(self):
        assert text_of(r"\u1087?\u1088\'3f{\uc0\u1089}\uc2\u1090\'3f? \uc1\u-10179?\u-8704?.") == "прст 😀."

    def test_characters_of_symbol_fonts_by_number(self):
        assert text_of(r"a \u-3999?\u-3913? b") == "a α• b"

    def test_half_a_pair_and_numbers_that_are_none(self):
        assert text_of(r"a\u-10179?b\u99999999?c\u55555?d") == "abcd"


class TestStructure:
    def test_headings_by_style_name_and_level(self):
        body = (
            r"\pard\s1 Flour\par\pard\s2 Rye\par\pard\plain Text.\par"
            r"\pard\outlinelevel2 Deep\par\pard\s0 More."
        )
        document = read_bytes("a.rtf", rtf(body)).document()
        assert document.text == "Flour\n\nRye\n\nText.\n\nDeep\n\nMore."
        assert document.marks == (
            Mark(0, "heading", "Flour", 1),
            Mark(7, "heading", "Rye", 2),
            Mark(document.text.index("Deep"), "heading", "Deep", 3),
        )

    def test_lists_keep_the_numbers_that_are_shown(self):
        body = (
            r"{\listtext\pard 1.\tab}one\par{\listtext\pard 2.\tab}two\par"
            r"\pard{\pntext\f3\'b7\tab}{\*\pn\pnlvlblt{\pntxtb\'b7}}three\par\pard after"
        )
        assert text_of(body) == "1. one\n2. two\n• three\n\nafter"

    def test_tables(self):
        row = r"\trowd\cellx1\cellx2\pard\intbl {}\cell {}\cell\row "
        body = (
            r"Before\par "
            + row.format("Name", "Grams")
            + row.format(r"Flour\par 550", "500")
            + r"\pard After"
        )
        assert text_of(body) == "Before\n\nName Grams\nFlour 550 500\n\nAfter"

    def test_notes_and_comments_follow_their_paragraph_and_margins_come_last(self):
        body = (
            r"{\header Letterhead\par}{\footerl Account}{\footerr Account}"
            r"Salt{\super\chftn}{\footnote\pard{\super\chftn} Not too much.\par Or none.} it."
            r"{\*\atnid A}{\*\atnauthor Ann}\chatn{\*\annotation{\*\atndate 1}\pard How long?}\par Next"
        )
        assert text_of(body) == (
            "Salt [1] it.\n\n[1] Not too much.\nOr none.\n\n"
            "Comment by Ann: How long?\n\nNext\n\nLetterhead\n\nAccount"
        )

    def test_what_is_not_on_the_page_is_left_out(self):
        body = (
            r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}} {\v hidden}{\deleted gone}{\*\unknown no}"
            r"{\pict\wmetafile8 0102{\*\blipuid 03}}{\object{\*\objdata 0102}{\result shown}}"
            r"{\shp{\*\shpinst{\sp{\sn name}{\sv value}}{\shptxt in a box\par}}}{\xe entry}"
            r"{\upr{ansi}{\*\ud{ unicode}}}"
        )
        assert text_of(body) == "link shownin a box\n\nunicode"

    def test_title_and_author(self):
        body = r"{\info{\title Brot \'fcber alles}{\author Ann \u1041?}{\operator Bob}{\doccomm x}}Text."
        document = read_bytes("a.rtf", rtf(body)).document()
        assert (document.title, document.metadata, document.text) == (
            "Brot über alles",
            {"author": "Ann Б"},
            "Text.",
        )


class TestDamage:
    def test_files_without_text(self):
        assert read_bytes("a.rtf", b"").reason() == "no text in it"
        assert read_bytes("a.rtf", rtf("")).reason() == "no text in it"
        assert read_bytes("a.rtf", b"plain").reason() == "is not RTF: it does not begin with {\\rtf"

    def test_a_file_that_is_cut_off_keeps_what_there_is(self):
        assert read_bytes("a.rtf", rtf(r"One\par {\b two {\footnote three")[:-1]).document().text == (
            "One\n\ntwo [1]\n\n[1] three"
        )
        assert read_bytes("a.rtf", rtf("One")[:-1] + b"}}} after \\").document().text == "One after"

    def test_binary_data_is_passed_over(self):
        assert text_of(b"a{\\pict\\bin4 }}}}}b\\bin99999 c") == "ab"

    def test_a_million_braces_take_no_time(self):
        assert text_of(b"{" * 10**6 + b"deep" + b"}" * 10**6) == "deep"
        assert text_of(b"{\\footnote " * 20_000 + b"x").startswith("[1]\n\n[20000] x\n\n")
