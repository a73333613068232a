"""Which files are shown, and how: a copied or altered collection shows nothing of this machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.facade import originals
from app.facade.beneath import NotServed
from app.facade.caller import Caller, NotAllowed, local_caller
from app.facade.originals import (
    Lines,
    draw_original_page,
    find_original,
    read_original,
    read_original_lines,
)
from app.settings import Location
from indexing import Result, Snippet
from indexing.documents.marks import Place
from tests.unit.documents.made_pdf import Pdf, flowing

PROSE = "Dough rises because yeast turns sugar into gas."


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "docs"
    root.mkdir()
    (root / "bread.pdf").write_bytes(Pdf([flowing("One."), flowing(PROSE)]).build())
    (root / "code.py").write_text("".join(f"line_{number} = {number}\n" for number in range(1, 1001)))
    (root / "page.html").write_text("<script>alert(1)</script><p>Bread</p>")
    (root / "picture.svg").write_text("<svg onload='alert(1)'/>")
    (root / "sheet.xlsx").write_bytes(b"PK\x03\x04\0\0")
    return root


@pytest.fixture
def look(root, home):
    """`find_original` of a document in a source; `confirmed` and `below` as wanted."""

    def found(below, confirmed=True, at=root):
        source = SimpleNamespace(root=str(at), confirmed=confirmed)
        collection = SimpleNamespace(name="docs", source_of=lambda id_: (source, below) if below else None)
        return find_original(local_caller(), Location(home), collection, "id")

    return found


def result(text, line=None, page=None):
    return Result("id", 1.0, "", text, Snippet(text), {}, {}, None, "", Place(page, line))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bread.pdf", "pdf"),
        ("code.py", "text"),
        ("page.html", "file"),
        ("picture.svg", "file"),
        ("sheet.xlsx", "file"),
    ],
)
def test_files_are_shown_by_what_they_are(look, root, name, kind):
    original = look(name)
    assert (original.kind, original.name, original.path) == (kind, name, str(root / name))
    kept = read_original(original)
    assert kept.data == (root / name).read_bytes()
    headers = kept.headers()
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == f"attachment; filename*=utf-8''{name}"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("x.pdf", b"<script>no PDF</script>", "file"),
        ("x.HTML", b"text", "file"),
        ("x.xhtml", b"text", "file"),
        ("x.txt", b"a\0b\0\0\0", "file"),
        ("x.txt", "héllo".encode("utf-16"), "text"),
        ("x.txt.gz", b"text", "file"),
        ("README", b"<script>read me</script>", "text"),
        ("x.txt", b"", "text"),
    ],
)
def test_content_and_name_must_agree(look, root, name, data, kind):
    (root / name).write_bytes(data)
    assert look(name).kind == kind


def test_a_source_that_nobody_confirmed_here_shows_nothing(look):
    with pytest.raises(NotServed, match=r"never confirmed on this machine.*`stlib sync docs` asks"):
        look("code.py", confirmed=False)


def test_a_document_of_no_source_shows_nothing(look):
    with pytest.raises(NotServed, match="was not read from a folder"):
        look("")


def test_what_a_catalog_says_leads_nowhere_else(look, tmp_path):
    (tmp_path / "secret.txt").write_text("a secret")
    for below in ("../secret.txt", str(tmp_path / "secret.txt"), "x/../../secret.txt"):
        with pytest.raises(NotServed, match="no path below a folder"):
            look(below)


def test_a_link_planted_after_indexing_is_not_followed(look, root, tmp_path):
    (tmp_path / "secret.txt").write_text("a secret")
    original = look("code.py")
    (root / "code.py").unlink()
    (root / "code.py").symlink_to(tmp_path / "secret.txt")
    for read in (read_original, lambda one: read_original_lines(one, result("x"))):
        with pytest.raises(NotServed, match="without following a link"):
            read(original)
    with pytest.raises(NotServed, match="without following a link"):
        look("code.py")


def test_a_root_that_became_a_link_shows_nothing(look, root, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "code.py").write_text("a secret")
    root.rename(tmp_path / "old")
    root.symlink_to(tmp_path / "other")
    with pytest.raises(NotServed, match="is a link by now"):
        look("code.py")


def test_nothing_of_the_home_is_shown(look, home, tmp_path):
    (home / "uploads").mkdir(parents=True)
    (home / "uploads" / "a.txt").write_text("uploaded")
    for at, below in ((home / "uploads", "a.txt"), (home, "uploads/a.txt"), (tmp_path, "home/uploads/a.txt")):
        with pytest.raises(NotServed, match="folder of the collections"):
            look(below, at=at)


def test_whoever_may_not_search_sees_no_original(root, home):
    with pytest.raises(NotAllowed):
        find_original(Caller(rights=frozenset()), Location(home), SimpleNamespace(), "id")


def test_the_lines_that_answer_are_marked(look):
    lines = read_original_lines(look("code.py"), result("line_500 = 500\nline_501 = 501\n", line=500))
    assert (lines.first, lines.total, lines.marked) == (200, 1001, (500, 501))
    assert lines.lines[300] == "line_500 = 500" and len(lines.lines) == 602
    start = read_original_lines(look("code.py"), result("x"))
    assert (start.first, start.marked, len(start.lines)) == (1, None, 301)
    assert read_original_lines(look("code.py"), result("x", line=5000)).marked is None


def test_line_ends_of_every_kind_are_lines(look, root):
    (root / "mixed.txt").write_bytes("eins\r\nzwei\rdrei\nvi\u2028er".encode())
    lines = read_original_lines(look("mixed.txt"), result("drei", line=3))
    assert lines == Lines(1, ("eins", "zwei", "drei", "vi\u2028er"), 4, (3, 3))


def test_a_large_text_is_shown_around_its_line(look, root, monkeypatch):
    monkeypatch.setattr(originals, "_MOST_TEXT", 50_000)
    (root / "long.txt").write_text("".join(f"zwölf {number}\n" for number in range(1, 10_001)))
    lines = read_original_lines(look("long.txt"), result("zwölf 7000\nzwölf 7001", line=7000))
    assert (lines.first, lines.total, lines.marked) == (6700, None, (7000, 7001))
    assert lines.lines == tuple(f"zwölf {number}" for number in range(6700, 7301))
    start = read_original_lines(look("long.txt"), result("x"))
    assert (start.first, start.lines[0], len(start.lines), start.marked) == (1, "zwölf 1", 301, None)
    beyond = read_original_lines(look("long.txt"), result("x", line=50_000))
    assert (beyond.lines, beyond.marked) == (("",), None)
    (root / "wide.txt").write_text("x" * 90_000 + "\nsecond")
    wide = read_original_lines(look("wide.txt"), result("second", line=2))
    assert [len(line) for line in wide.lines] == [2_000] and wide.marked is None
    monkeypatch.setattr(originals, "_MOST_SEEN", 1_000)
    assert read_original_lines(look("long.txt"), result("x", line=7000)).lines == ("",)


def test_a_page_is_drawn_with_its_passage(look):
    drawn = draw_original_page(look("bread.pdf"), 2, PROSE)
    assert (drawn.page, drawn.pages, drawn.marked) == (2, 2, True)


def test_what_is_too_large_is_named(look, monkeypatch):
    monkeypatch.setattr(originals, "MOST_BYTES", 10)
    original = look("bread.pdf")
    for read in (read_original, lambda one: draw_original_page(one, 1)):
        with pytest.raises(NotServed, match=r"MiB are shown here: open .*bread\.pdf itself"):
            read(original)
