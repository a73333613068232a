"""Pages as pictures: the right page, the passage marked where it stands, and no harm from a wrong file."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from app.pictures import NoPicture, draw_page, parent
from app.pictures.matching import find_passage
from tests.unit.documents.made_pdf import Line, Pdf, flowing

LOCKED = Path(__file__).parents[1] / "assets" / "documents" / "locked.pdf"
YEAST = "Bread rises because yeast turns sugar into gas."
FIRST = [Line(50, 700, YEAST, 14), Line(50, 400, "A footnote on flour and water says nothing of it.", 14)]
SECOND = flowing("The second page.\nA cold kitchen slows the yeast down: a dough may need a whole night.")


@pytest.fixture
def pdf(tmp_path):
    path = tmp_path / "bread.pdf"
    path.write_bytes(Pdf([FIRST, SECOND]).build())
    with path.open("rb") as file:
        yield file


def marked(picture):
    """Rows of the picture, from 0 to 1 of its height, in which something is marked."""
    image = Image.open(io.BytesIO(picture.png)).convert("RGB")
    width, height = image.size
    pixels = image.load()
    return [
        y / height for y in range(height) if any(pixels[x, y] == (255, 214, 64) for x in range(0, width, 2))
    ]


def test_the_passage_is_marked_where_it_stands(pdf):
    picture = draw_page(pdf, 1, YEAST)
    rows = marked(picture)
    assert (picture.page, picture.pages, picture.marked) == (1, 2, True)
    # The line stands 700 points above the bottom of 842; nothing near the other one is marked.
    assert min(rows) == pytest.approx(1 - 712 / 842, abs=0.01)
    assert max(rows) == pytest.approx(1 - 696 / 842, abs=0.01)


def test_a_passage_that_flows_on_is_marked_on_both_pages(pdf):
    passage = "sugar into gas. The second page. A cold kitchen slows the yeast down"
    assert [draw_page(pdf, page, passage).marked for page in (1, 2)] == [False, True]
    assert draw_page(pdf, 1, f"{YEAST} {passage}").marked
    assert not draw_page(pdf, 2, YEAST).marked


def test_a_page_that_there_is_not_is_the_nearest(pdf):
    assert [draw_page(pdf, page).page for page in (-1, 1, 2, 99)] == [1, 1, 2, 2]
    assert not draw_page(pdf, 1).marked


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 and no more", os.urandom(5000), LOCKED.read_bytes()])
def test_a_file_that_is_none_has_no_picture(tmp_path, data):
    (tmp_path / "x.pdf").write_bytes(data)
    with (tmp_path / "x.pdf").open("rb") as file, pytest.raises(NoPicture, match="damaged, protected"):
        draw_page(file, 1, "x")


def test_a_huge_page_is_a_small_picture(tmp_path):
    (tmp_path / "x.pdf").write_bytes(Pdf([FIRST]).build().replace(b"[0 0 595 842]", b"[0 0 9e5 9e5]"))
    with (tmp_path / "x.pdf").open("rb") as file:
        assert max(Image.open(io.BytesIO(draw_page(file, 1, YEAST).png)).size) <= 1501


def test_what_takes_too_long_is_ended(pdf, monkeypatch):
    monkeypatch.setattr(parent, "_BOOTSTRAP", "import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(NoPicture, match=r"within 0\.5 seconds"):
        draw_page(pdf, 1, seconds=0.5)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "said",
    [
        "print('nonsense')",
        "print('{}')",
        """print('{"page": 2, "pages": 1, "marked": true}')""",
        """print('{"page": 1, "pages": 1, "marked": true}'); print('<script>')""",
        "import sys; sys.stdout.buffer.write(b'x' * (30 << 20))",
    ],
)
def test_what_the_child_says_is_checked(pdf, monkeypatch, said):
    monkeypatch.setattr(parent, "_BOOTSTRAP", said)
    with pytest.raises(NoPicture):
        draw_page(pdf, 1)


def found(page, passage):
    return [page[start:end] for start, end in find_passage(page, passage)]


def test_breaks_hyphens_and_ligatures_are_no_difference():
    page = "Title\r\nYou remem-\r\nber the ﬁrst  “dough” of the\r\nday. Next."
    assert found(page, "You remember the first dough of the day.") == [
        "You remem-\r\nber the ﬁrst  “dough” of the\r\nday"
    ]


def test_a_passage_may_begin_before_the_page_and_be_interrupted():
    page = "of the longest sentence there is 17 footnote and it goes on to the end of the page"
    passage = "The beginning of the longest sentence there is and it goes on to the end of the page, and on."
    assert found(page, passage) == [
        "of the longest sentence there is",
        "and it goes on to the end of the page",
    ]
    assert found(page, "something else entirely, which is not there") == []
    assert found(page, "footnote") == ["footnote"]
    assert found(page, "!") == []


def test_a_long_passage_that_is_not_there_is_looked_for_in_linear_time():
    page, passage = "ab" * 20_000, "ba" * 3_900 + "c"
    started = time.process_time()
    find_passage(page, passage)
    find_passage("x" * 100_000, "y" * 8_000)
    assert time.process_time() - started < 2
