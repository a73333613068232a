"""PowerPoint: a slide is a page, its title a heading; what a person sees or wrote beside it is text."""

from __future__ import annotations

from indexing.documents.marks import Mark, Place, place_at
from tests.unit.documents.made_office import make_docx, make_pptx, paragraph, shape, show
from tests.unit.documents.reading import read_bytes


def text_of(shapes: str, **parts: str) -> str:
    return read_bytes("a.pptx", make_pptx([shapes], **parts)).document().text


def test_slides_are_pages_in_the_order_of_the_show():
    slides = [
        shape("Baking", kind="ctrTitle") + shape("A talk", kind="subTitle"),
        shape("Last", kind="title"),
        shape("• rye", "• wheat", kind="body") + shape("Grains", kind="title"),
        "",
    ]
    document = read_bytes("a.pptx", make_pptx(slides, order=[0, 2, 3, 1])).document()
    assert document.text == "Baking\n\nA talk\n\nGrains\n\n• rye\n• wheat\n\nLast"
    assert document.title == "Baking"
    last = len(document.text) - len("Last")
    assert document.marks == (
        Mark(0, "page", 1),
        Mark(0, "heading", "Baking", 1),
        Mark(16, "page", 2),
        Mark(16, "heading", "Grains", 1),
        Mark(last, "page", 3),
        Mark(last, "page", 4),
        Mark(last, "heading", "Last", 1),
    )
    assert place_at(document.marks, document.text, 26) == Place(2, None, ("Grains",))


def test_what_each_slide_repeats_is_left_out():
    shapes = shape("14.09.1995", kind="dt") + shape("Company", kind="ftr") + shape("7", kind="sldNum")
    assert text_of(shapes + shape("Kept")) == "Kept"


def test_groups_breaks_and_the_second_form_of_a_shape():
    broken = "<a:p><a:r><a:t>one</a:t></a:r><a:br/><a:r><a:t>two</a:t></a:r></a:p>"
    group = (
        f"<p:grpSp><p:grpSp>{shape('inside')}</p:grpSp><p:sp><p:txBody>{broken}</p:txBody></p:sp></p:grpSp>"
    )
    new, old = f"<mc:Choice>{shape('new')}</mc:Choice>", f"<mc:Fallback>{shape('old')}</mc:Fallback>"
    twice = f"<mc:AlternateContent>{new}{old}</mc:AlternateContent>"
    assert text_of(group + twice) == "inside\n\none two\n\nnew"


def test_tables_and_pictures():
    def cell(text: str) -> str:
        return f"<a:tc><a:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:txBody></a:tc>"

    rows = "".join(
        f"<a:tr>{cell(a)}{cell(b)}</a:tr>" for a, b in [("Name", "Grams"), ("Flour", "500"), ("", "")]
    )
    table = f"<p:graphicFrame><a:graphic><a:tbl>{rows}</a:tbl></a:graphic></p:graphicFrame>"
    picture = '<p:pic><p:nvPicPr><p:cNvPr id="4" name="Picture 3" descr="A loaf"/></p:nvPicPr></p:pic>'
    assert text_of(table + picture) == "Name Grams\nFlour 500\n\nA loaf"


def test_charts_diagrams_notes_and_comments_follow_their_slide():
    def series(name: str) -> str:
        cache = "<c:strCache><c:pt><c:v>{}</c:v></c:pt>{}</c:strCache>"
        return cache.format(name, "") + cache.format("rye", "<c:pt><c:v>wheat</c:v></c:pt>")

    text = text_of(
        shape("Sales", kind="title"),
        chart1=show(
            "chart", f"<a:p><a:r><a:t>Bread by year</a:t></a:r></a:p>{series('2023')}{series('2024')}"
        ),
        diagramData1=show(
            "data", "<a:p><a:r><a:t>Mix</a:t></a:r></a:p><a:p><a:r><a:t>Wait</a:t></a:r></a:p>"
        ),
        notesSlide1=show("notes", shape("Say hello.", kind="body") + shape("1", kind="sldNum")),
        comments1=show("cmLst", "<p:cm><p:text>Too long?</p:text></p:cm>"),
    )
    assert text == (
        "Sales\n\nBread by year\n\n2023\nrye wheat\n2024\n\nMix\nWait\n\nSay hello.\n\nComment: Too long?"
    )


def test_title_of_the_file_unless_a_program_made_it_up():
    slides = [shape("Grains", kind="title")]
    document = read_bytes("a.pptx", make_pptx(slides, core=("On bread", "Ann"))).document()
    assert (document.title, document.metadata) == ("On bread", {"author": "Ann"})
    assert (
        read_bytes("a.pptx", make_pptx(slides, core=("PowerPoint Presentation", ""))).document().title
        == "Grains"
    )


def test_files_without_text_and_damaged_ones():
    assert read_bytes("a.pptx", b"").reason() == "no text in it"
    assert read_bytes("a.pptx", make_pptx([""])).reason() == "no text in it"
    data = make_pptx([shape("x")])
    assert read_bytes("a.pptx", data[:-30]).reason().startswith("is not a valid zip container")
    assert read_bytes("a.pptx", make_docx(paragraph("Word"))).reason() == "no text in it"


def test_slides_are_found_without_their_list():
    data = make_pptx([shape(f"slide {n}") for n in range(1, 12)], order=[])
    assert read_bytes("a.pptx", data).document().text == "\n\n".join(f"slide {n}" for n in range(1, 12))
