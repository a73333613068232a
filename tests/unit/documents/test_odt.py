"""OpenDocument texts and presentations: what a reader of the page sees, in its order, and nothing twice."""

from __future__ import annotations

import pytest

from indexing.documents.marks import Mark
from tests.unit.documents.made_office import make_odt, make_zip, odf
from tests.unit.documents.reading import read_bytes


def p(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def text_of(body: str, **parts: str) -> str:
    return read_bytes("a.odt", make_odt(body, **parts)).document().text


def test_inline_text_keeps_its_order():
    body = p(
        'A<text:s text:c="3"/>b <text:span>c <text:a>d</text:a> \n e</text:span> f'
        "<text:tab/>g<text:line-break/>h"
    )
    assert text_of(body) == "A b c d e f g\nh"
    assert text_of(p("مرحبا بالعالم") + p("日本語")) == "مرحبا بالعالم\n\n日本語"


def test_headings_are_marks_and_lists_have_their_numbers():
    def level(depth: int, rest: str) -> str:
        return f'<text:list-level-style-number text:level="{depth}" {rest}/>'

    levels = (
        level(1, 'style:num-format="1" style:num-suffix="." text:start-value="3"')
        + level(2, 'style:num-format="a" style:num-prefix="(" style:num-suffix=")"')
        + level(3, 'style:num-format="1" text:display-levels="3"')
    )
    bullets = '<text:list-level-style-bullet text:level="1" text:bullet-char="o"/>'
    item = "<text:list-item>{}</text:list-item>".format
    third = "<text:list>" + item(p("deep")) + "</text:list>"
    inner = "<text:list>" + item(p("in") + third) + item(p("in 2")) + "</text:list>"
    numbered = (
        '<text:list text:style-name="N">'
        + item(p("one") + p("more"))
        + item(p("two") + inner)
        + "</text:list>"
    )
    again = (
        '<text:list text:style-name="N" text:continue-numbering="true">' + item(p("five")) + "</text:list>"
    )
    body = (
        '<text:h text:outline-level="2">Baking  bread</text:h>'
        + numbered
        + '<text:list text:style-name="B">' + item(p("x")) + "</text:list>"
        + again
        + p("end")
    )  # fmt: skip
    automatic = "".join(
        f'<text:list-style style:name="{name}">{inside}</text:list-style>'
        for name, inside in (("N", levels), ("B", bullets))
    )
    document = read_bytes("a.odt", make_odt(body, automatic=automatic)).document()
    assert document.text == (
        "Baking bread\n\n3. one\nmore\n4. two\n(a) in\n4.a.1 deep\n(b) in 2\n- x\n5. five\n\nend"
    )
    assert document.marks == (Mark(0, "heading", "Baking bread", 2),)


def test_what_is_not_on_the_page_is_left_out():
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion>"
        f"{p('deleted')}</text:deletion></text:changed-region></text:tracked-changes>"
        "<text:table-of-content><text:table-of-content-source><text:index-title-template>template"
        "</text:index-title-template></text:table-of-content-source><text:index-body>"
        f"{p('1 Bread 3')}</text:index-body></text:table-of-content>"
        + p("kept<text:hidden-text>hidden</text:hidden-text><text:ruby>"
            "<text:ruby-base>漢字</text:ruby-base><text:ruby-text>かんじ</text:ruby-text></text:ruby>")
    )  # fmt: skip
    assert text_of(body) == "1 Bread 3\n\nkept漢字"


def test_notes_and_comments_follow_their_paragraph():
    note = (
        "<text:note><text:note-citation>1</text:note-citation><text:note-body>"
        f"{p('Not too much.')}</text:note-body></text:note>"
    )
    said = f"<dc:creator>Ann</dc:creator><dc:date>2024-01-01</dc:date>{p('How long?')}"
    comment = f"<office:annotation>{said}</office:annotation>"
    assert text_of(p(f"Salt{note} it.{comment} Wait.") + p("Next")) == (
        "Salt [1] it. Wait.\n\n[1] Not too much.\n\nComment by Ann: How long?\n\nNext"
    )


def test_tables_text_boxes_and_pictures():
    cell = "<table:table-cell>{}</table:table-cell>".format
    row = "<table:table-row>{}</table:table-row>".format
    covered = f"<table:covered-table-cell>{p('covered')}</table:covered-table-cell>"
    inner = "<table:table>" + row(cell(p("x")) + cell(p("y"))) + "</table:table>"
    table = (
        "<table:table><table:table-header-rows>"
        + row(cell(p("Name")) + cell(p("Grams"))) + "</table:table-header-rows>"
        + row(cell(p("Flour") + p("550")) + cell(p("500")) + covered)
        + row(cell(inner)) + "</table:table>"
    )  # fmt: skip
    box = f"<draw:frame><draw:text-box>\n  {p('In the box')}\n</draw:text-box></draw:frame>"
    picture = (
        "<draw:frame><draw:image/><svg:title>image1.png</svg:title><svg:desc>A loaf</svg:desc></draw:frame>"
    )
    assert text_of(p("Before") + table + p(f"Beside{box} it{picture}")) == (
        "Before\n\nName Grams\nFlour 550 500\nx y\n\nIn the box\n\nBeside it A loaf"
    )


def test_headers_and_footers_come_once_at_the_end():
    inner = f"<style:header>{p('Letterhead')}</style:header><style:footer>{p('Account')}</style:footer>"
    page = f"<style:master-page>{inner}</style:master-page>"
    styles = f"<office:master-styles>{page * 2}</office:master-styles>"
    assert text_of(p("Body"), styles=styles) == "Body\n\nLetterhead\n\nAccount"


def test_slides_are_pages():
    def frame(kind: str, text: str) -> str:
        return (
            f'<draw:frame presentation:class="{kind}"><draw:text-box>{p(text)}</draw:text-box></draw:frame>'
        )

    notes = (
        f"<presentation:notes>{frame('notes', 'Say hello.')}{frame('page-number', '1')}</presentation:notes>"
    )
    body = (
        f"<draw:page>{frame('title', 'Baking')}{frame('outline', 'rye')}{notes}</draw:page>"
        f"<draw:page>{frame('subtitle', 'wheat')}{frame('footer', 'Company')}</draw:page>"
    )
    document = read_bytes("a.odp", make_odt(body, kind="presentation")).document()
    assert document.text == "Baking\n\nrye\n\nSay hello.\n\nwheat"
    assert document.marks == (
        Mark(0, "page", 1),
        Mark(0, "heading", "Baking", 1),
        Mark(document.text.index("wheat"), "page", 2),
    )


def test_title_and_author():
    meta = "<dc:title>On bread</dc:title><dc:creator>Bob</dc:creator>"
    meta += "<meta:initial-creator>Ann</meta:initial-creator>"
    document = read_bytes("a.odt", make_odt(p("x"), meta=meta)).document()
    assert (document.title, document.metadata) == ("On bread", {"author": "Ann"})


def test_a_flat_file():
    content = (
        "<office:meta><dc:title>Flat</dc:title></office:meta>"
        f"<office:master-styles><style:header>{p('Head')}</style:header></office:master-styles>"
        f"<office:body><office:text>{p('Text.')}</office:text></office:body>"
    )
    document = read_bytes("a.fodt", odf("document", content).encode()).document()
    assert (document.title, document.text) == ("Flat", "Text.\n\nHead")


@pytest.mark.parametrize("name", ["a.odt", "a.fodt"])
def test_files_without_text(name):
    assert read_bytes(name, b"").reason() == "no text in it"
    assert read_bytes("a.odt", make_odt(p(" "))).reason() == "no text in it"
    assert read_bytes("a.fodt", b"not XML").reason() == "no text in it"


def test_damaged_and_encrypted_files():
    data = make_odt(p("x"))
    assert read_bytes("a.odt", data[: len(data) // 2]).reason().startswith("is not a valid zip container")
    assert read_bytes("a.odt", make_zip({"x": "y"})).reason() == (
        "is a zip container without a document of this kind in it"
    )
    locked = odf("manifest", "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>")
    assert read_bytes(
        "a.odt", make_zip({"content.xml": b"\x00\x01", "META-INF/manifest.xml": locked})
    ).reason() == ("is encrypted: it needs a password; save a copy without one")


def test_entities_outside_the_file_are_not_opened(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    content = odf(
        "document-content", f"<office:body><office:text>{p('Seen &s; here')}</office:text></office:body>"
    )
    content = content.replace("?>", f'?><!DOCTYPE d [<!ENTITY s SYSTEM "{secret.as_uri()}">]>', 1)
    assert read_bytes("a.odt", make_zip({"content.xml": content})).document().text == "Seen here"
