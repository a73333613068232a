"""JSON, notebooks, XML, files that have no extension, and archives."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
import time
import zipfile

import pytest

from indexing.documents import Document, Skipped
from indexing.documents.formats import read_file
from indexing.documents.formats.registry import format_of
from indexing.documents.marks import place_at
from indexing.documents.model import NO_READER
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.documents.unpack import FREE
from tests.unit.documents.reading import Reading, read_bytes


class TestJson:
    def test_an_array_of_objects_is_rows(self):
        rows = b' [{"id": "a", "text": "Bread"},\n {"id": "b", "text": "Butter"}]'
        assert read_bytes("a.json", rows).items == [Document("a", "Bread"), Document("b", "Butter")]

    def test_an_object_is_one_document(self):
        value = {"name": "oven", "deep": {"er": [1, "two", {"x": None, "y": True}]}, "z": 1.5, "empty": []}
        assert read_bytes("a.json", json.dumps(value).encode()).items == [
            Document("a.json", "name: oven\ndeep.er: 1, two\ndeep.er.y: true\nz: 1.5", "oven")
        ]

    def test_an_object_around_rows(self):
        value = {"total": 2, "results": [{"id": "r1", "text": "Bread"}, {"text": "Butter"}]}
        assert read_bytes("a.json", json.dumps(value).encode()).items == [
            Document("r1", "Bread"),
            Document("a.json#results/2", "Butter"),
        ]

    def test_values_that_follow_each_other(self):
        assert [item.text for item in read_bytes("a.json", b'{"text": "a"}\n{"text": "b"}\n').items] == [
            "a",
            "b",
        ]

    def test_what_is_no_json_is_text(self):
        reading = read_bytes("a.json", b'{ // comment\n "a": 1 }')
        assert reading.items == [Document("a.json", '{ // comment\n "a": 1 }')]
        assert reading.notes == [
            "is not valid JSON (Expecting property name enclosed in double quotes in line 1): "
            "it was read as text"
        ]

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"[" * 100_000, "not usable JSON: nested too deeply"),
            (b'{"a":' * 100_000, "not usable JSON: nested too deeply"),
            (b"9" * 5000, "not usable JSON: a number of more than 4,300 digits"),
            (b" \n", "no text in it"),
            (b"{}", "no text in it"),
        ],
    )
    def test_what_cannot_be_read(self, data, reason):
        assert read_bytes("a.json", data).reason() == reason


def notebook(*cells: dict, **metadata) -> bytes:
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4}).encode()


class TestNotebook:
    def test_markdown_code_and_outputs(self):
        book = notebook(
            {"cell_type": "markdown", "source": ["# Bread\n", "Some *dough*.\n", "## Heat\n", "x"]},
            {
                "cell_type": "code",
                "source": "bake()\n# not a heading",
                "outputs": [
                    {"output_type": "stream", "text": ["10%\r", "100%\n", "\x1b[31mdone\x1b[0m\n"]},
                    {
                        "output_type": "execute_result",
                        "data": {"text/plain": ["<Figure size 1x1 with 1 Axes>"]},
                    },
                    {
                        "output_type": "display_data",
                        "data": {"text/html": "<b>no</b>", "text/plain": "   n\n0  5"},
                    },
                    {"output_type": "error", "ename": "KeyError", "evalue": "'oven'", "traceback": ["long"]},
                ],
            },
            {"cell_type": "raw", "source": "raw"},
            kernelspec={"language": "Python"},
        )
        page = read_bytes("a.ipynb", book).document()
        assert page.text == (
            "Bread\n\nSome dough.\n\nHeat\n\nx\n\nbake()\n# not a heading\n\n100%\ndone\n\n   n\n0  5\n\n"
            "KeyError: 'oven'\n\nraw"
        )
        assert (page.title, page.metadata) == ("Bread", {"language": "python"})
        assert place_at(page.marks, page.text, page.text.index("bake")).headings == ("Bread", "Heat")

    def test_the_third_version_of_the_format(self):
        cells = [
            {"cell_type": "heading", "level": 1, "source": "Old"},
            {"cell_type": "code", "input": "1 + 1", "outputs": [{"output_type": "pyout", "text": "2"}]},
        ]
        old = json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3}).encode()
        assert read_bytes("a.ipynb", old).items == [Document("a.ipynb", "Old\n\n1 + 1\n\n2", "Old")]

    def test_an_output_without_end_is_cut(self):
        cell = {
            "cell_type": "code",
            "source": "x",
            "outputs": [{"output_type": "stream", "text": "y" * 100_000}],
        }
        assert read_bytes("a.ipynb", notebook(cell)).document().text == "x\n\n" + "y" * 4000

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"cells": 5}', b'{"a":' * 99_999])
    def test_what_is_no_notebook(self, data):
        assert read_bytes("a.ipynb", data).reason().startswith("is not a notebook: ")

    @pytest.mark.parametrize("cell", [5, {}, {"cell_type": "code", "source": 5, "outputs": [5, {"data": 5}]}])
    def test_cells_that_are_none(self, cell):
        assert read_bytes("a.ipynb", notebook(cell)).reason() == "no text in it"


class TestXml:
    def test_fields_prose_and_sections(self):
        page = (
            '<?xml version="1.0" encoding="iso-8859-1"?>\n<!DOCTYPE book [<!ENTITY x "never">]>\n'
            '<book xmlns="urn:b"><title>Bread b\xf6ok</title>'
            "<info><author>Anna</author><year>2024</year></info>\n"
            "<section><title>Dough</title>"
            "<para>Water is H<sub>2</sub>O, <b>not</b>\n flour &amp; salt.</para>"
            "<item label='A long label'/><row><td>a</td><td>b</td></row>"
            "<long>" + "word " * 30 + "</long></section></book>"
        )
        document = read_bytes("a.xml", page.encode("iso-8859-1")).document()
        assert document.text == (
            "Bread böok\n\nauthor: Anna\nyear: 2024\n\nDough\nWater is H2O, not flour & salt.\n"
            "item label: A long label\na b\n" + ("word " * 30).strip()
        ).replace("\n\nauthor", "\nauthor")
        assert document.title == "Bread böok"
        assert place_at(document.marks, document.text, document.text.index("Water")).headings == (
            "Bread böok",
            "Dough",
        )

    def test_pages_within_feeds(self):
        page = "&lt;p&gt;One &lt;b&gt;two&lt;/b&gt;&lt;/p&gt;"
        feed = (
            f"<rss><channel><title>News</title><item><description>{page}</description></item></channel></rss>"
        )
        assert read_bytes("a.rss", feed.encode()).items == [Document("a.rss", "News\nOne two", "News")]

    def test_broken_xml_gives_what_it_has(self):
        reading = read_bytes("a.xml", b"<a><b>one</b><c>two & three</a>")
        assert reading.document().text == "b: one\ntwo  three" or "one" in reading.document().text

    @pytest.mark.parametrize(
        "page",
        [
            '<!DOCTYPE a [<!ENTITY b "xxxxxxxxxx">'
            + "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 12)).replace("&b0;", "&b;")
            + "]><a>text &b11; end</a>",
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>text &b; end</a>',
            '<!DOCTYPE a SYSTEM "http://example.invalid/a.dtd"><a>text end</a>',
            "<!---->" * 100_000 + "<a>text</a>",
            "<!DOCTYPE a>" * 100_000 + "<a>text</a>",
            "<a>text" + "<b>" * 100_000,
            "<a>text</a>" + "<a>" * 10,
            "<a " + "b='c' " * 50_000 + ">text</a>",
        ],
        ids=["laughs", "file", "network", "comments", "types", "depth", "roots", "attributes"],
    )
    def test_nothing_is_expanded_or_opened(self, page):
        started = time.process_time()
        (item,) = read_bytes("a.xml", page.encode()).items
        assert time.process_time() - started < 3
        assert "root:" not in str(item)
        assert not isinstance(item, Document) or ("text" in item.text and len(item.text) < 200)


class TestNames:
    def test_which_reader_a_name_has(self):
        names = {
            **dict.fromkeys(
                ("README", "LICENSE", "README.Debian", "Makefile.am", "NEWS.gz", "Dockerfile"), "text"
            ),
            **dict.fromkeys(("printf.3", "a.1.gz", "perlfunc.1perl", "EVP.3ssl.gz", "syslog.1"), "man"),
            **dict.fromkeys(("a.tar.gz", "a.tgz", "a.zip", "b.tar.zst"), "archive"),
            **dict.fromkeys(("notes", "notes.xz"), "unnamed"),
            **dict.fromkeys(("libc.so.6", "a.7z", "a.3gp", "x.exe", "", "a.so.1.2"), None),
            **{"a.json.bz2": "json", "a.CSV.GZ": "delimited", "a.IPYNB": "notebook"},
        }
        assert {name: format_of(name) for name in names} == names

    @pytest.mark.parametrize(
        ("data", "documents"),
        [
            (b"Plain words.\n", [Document("x", "Plain words.\n")]),
            (b"<!DOCTYPE html><title>T</title><p>Page", [Document("x", "Page", "T")]),
            (b'.\\" c\n.TH X 1\n.SH N\ntext\n', [Document("x", "N\n\ntext", "x(1)", {"section": "1"})]),
            (
                b"From a Wed May  1 12:00:00 2024\nSubject: s\nMessage-ID: <m>\n\nbody\n",
                [Document("x#m", "body", "s")],
            ),
            (b"<?xml version='1.0'?><note>text</note>", [Document("x", "note: text")]),
            (b"\x7fELF\x02\x01" + bytes(100), [Skipped("x", None, NO_READER)]),
        ],
    )
    def test_what_has_no_extension_is_told_by_its_beginning(self, data, documents):
        assert read_bytes("x", data).items == documents


def archive(name: str, data: bytes, *, asked: bool = True) -> Reading:
    options = ReadOptions(archives=asked)
    file = SourceFile(f"/docs/{name}", name, name, "archive", size=len(data), options=options, data=data)
    return Reading(list(read_file(file)), file.notes)


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as container:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            container.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        container.addfile(link)
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as container:
        for name, data in members.items():
            container.writestr(name, data)
    return stream.getvalue()


MEMBERS = {
    "docs/a.txt": b"one",
    "../../b.md": b"# Two\n\nthree",
    "/c.txt.gz": gzip.compress(b"four"),
    "d.csv": b"id,text\nd,five\n",
    "e.png": b"x",
    "f.zip": zipped({"deep.txt": b"never"}),
    "g.txt": bytes(range(256)),
    "__MACOSX/a.txt": b"furniture",
    "./docs/a.txt": b"again",
}


class TestArchive:
    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("a.zip", zipped(MEMBERS)),
            ("a.tar", tarred(MEMBERS)),
            ("a.tar.gz", tarred(MEMBERS, "w:gz")),
            ("a.txz", tarred(MEMBERS, "w:xz")),
        ],
    )
    def test_members_are_read_one_level_deep(self, name, data):
        reading = archive(name, data)
        assert reading.items == [
            Document(f"{name}#docs/a.txt", "one"),
            Document(f"{name}#b.md", "Two\n\nthree", "Two"),
            Document(f"{name}#c.txt.gz", "four"),
            Document("d", "five"),
            Skipped(name, None, "g.txt: looks binary, not text"),
            Document(f"{name}#docs/a (2).txt", "again"),
        ]
        assert reading.notes == ["holds 1 .png that has no reader", "holds 1 .zip that has no reader"]

    def test_only_where_it_is_asked_for(self):
        assert archive("a.zip", zipped(MEMBERS), asked=False).reason() == (
            "is an archive: say --archives to read what is in it"
        )

    @pytest.mark.parametrize("data", [b"", b"PK\x03\x04torn", b"no archive at all" * 100])
    def test_what_is_none(self, data):
        assert archive("a.zip", data).reason().startswith("is not a valid ")

    def test_bombs_cost_themselves(self):
        bomb = b"bread " * (FREE // 6 + 1)
        reason = "unpacks to more than 67 MB from "
        assert archive("a.zip", zipped({"a.txt": bomb})).reason().startswith(reason)
        assert archive("a.tgz", tarred({"a.txt": bomb}, "w:gz")).reason().startswith(reason)
        inner = lzma.compress(bomb[:600_000]) * (FREE // 600_000 + 1)
        items = archive("a.zip", zipped({"a.txt.xz": inner, "b.txt": b"after"})).items
        assert items[0].reason.startswith(f"a.txt.xz: {reason}")
        assert items[1:] == [Document("a.zip#b.txt", "after")]
