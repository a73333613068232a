"""Every format: a hand-written file, and the exact documents and skipped lines that come out of it."""

from __future__ import annotations

import pytest

from indexing.documents import Document, ReadReport, Skipped, read_paths


@pytest.fixture
def read(tmp_path):
    """Write one file and read it in this process; the report of the last reading is `read.report`."""

    def reader(name: str, content: str | bytes) -> list[Document | Skipped]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        reader.report = ReadReport()
        items = list(read_paths([path], isolate=False, report=reader.report))
        return [Skipped(name, i.line, i.reason) if isinstance(i, Skipped) else i for i in items]

    return reader


def notes(read) -> list[str]:
    return [note.rpartition("/")[2] for note in read.report.notes]


class TestText:
    def test_a_file_is_a_document(self, read):
        assert read("a.txt", "One.\r\nTwo.\rThree.") == [Document("a.txt", "One.\nTwo.\nThree.")]
        assert read("b.log", "Title\n=====\n") == [Document("b.log", "Title\n=====\n")]

    @pytest.mark.parametrize("content", ["", " \n\t\n", b"\xef\xbb\xbf"])
    def test_an_empty_file_is_skipped(self, read, content):
        assert read("a.txt", content) == [Skipped("a.txt", None, "no text in it")]

    @pytest.mark.parametrize(
        "content",
        [
            b"\x89PNG\r\n\x1a\n" + b"\x00" * 20,
            b"\x7fELF\x02\x01\x01",
            b"%PDF-1.7\n1 0 obj\n",
            bytes(range(256)) * 4,
            bytes(range(1, 32)) * 4,
        ],
    )
    def test_a_binary_file_is_skipped(self, read, content):
        assert read("a.txt", content) == [Skipped("a.txt", None, "looks binary, not text")]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
    def test_unicode_in_all_its_encodings(self, read, encoding):
        text = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich."
        assert read("a.txt", text.encode(encoding)) == [Document("a.txt", text)]
        assert notes(read) == []

    def test_windows_1252_is_the_last_resort_and_said(self, read):
        assert read("a.txt", b"caf\xe9 \x80 5") == [Document("a.txt", "café € 5")]
        assert notes(read) == ["a.txt is not valid UTF-8: read as Windows-1252"]

    def test_ten_megabytes_on_one_line(self, read):
        text = "bread rises " * 873_814
        assert read("a.txt", text) == [Document("a.txt", text)]

    def test_a_file_beyond_the_limit_is_not_read(self, read, tmp_path):
        path = tmp_path / "big.txt"
        with path.open("wb") as stream:
            stream.truncate(257 * 2**20)  # a hole: takes no space
        reason = (
            "is 257 MiB, one document may have 256 MiB; "
            "split it, or turn it into JSONL with one passage a line"
        )
        assert list(read_paths([path], isolate=False)) == [Skipped(str(path), None, reason)]


class TestMarkdown:
    def test_readable_text_with_code_kept(self, read):
        source = (
            "# Baking *bread*\n\nDough\nrises [slowly](http://x.org) with `yeast`.\n\n"
            "- flour\n- water\n  - warm\n    water\n\n3. mix\n4. wait\n\n"
            "```py\ndef bake():\n    return 1\n```\n\n"
            "| a | b |\n|---|---|\n| 1 | 2 |\n\n<p>raw <b>html</b></p>\n\n"
            "> quoted\n\n![A loaf](x.png) &amp; done\n"
        )
        text = (
            "Baking bread\n\nDough rises slowly with yeast.\n\n"
            "- flour\n- water\n  - warm water\n\n3. mix\n4. wait\n\ndef bake():\n    return 1\n\n"
            "a b\n1 2\n\nraw html\n\nquoted\n\nA loaf & done"
        )
        assert read("a.md", source) == [Document("a.md", text, "Baking bread")]

    def test_front_matter_is_title_and_metadata(self, read):
        front = "title: Bread\ntags: [oven, yeast]\nyear: 2020\ndate: 2021-02-03\nmore: {a: 1}"
        source = f"---\n{front}\n---\n# Head\nText.\n"
        metadata = {"tags": ["oven", "yeast"], "year": 2020, "date": "2021-02-03", "more": {"a": 1}}
        assert read("a.md", source) == [Document("a.md", "Head\n\nText.", "Bread", metadata)]
        assert notes(read) == []

    def test_broken_front_matter_is_text(self, read):
        assert read("a.md", "---\na: [1\n---\nText.\n") == [Document("a.md", "a: [1\n\nText.")]
        assert notes(read) == ["a.md the front matter is not valid YAML: it was read as text"]

    @pytest.mark.parametrize("depth", [40, 5000])
    def test_deep_nesting_loses_nothing(self, read, depth):
        text = "deep" if depth == 40 else "> " * depth + "deep"
        assert read("a.md", "> " * depth + "deep\n") == [Document("a.md", text)]

    def test_front_matter_builds_no_objects(self, read):
        source = "---\nx: !!python/object/apply:os.getcwd []\n---\nText.\n"
        assert [type(item) for item in read("a.md", source)] == [Document]
        assert notes(read) == ["a.md the front matter is not valid YAML: it was read as text"]

    def test_an_empty_file_is_skipped(self, read):
        assert read("a.md", "---\nyear: 2020\n---\n") == [Skipped("a.md", None, "no text in it")]


class TestHtml:
    def test_title_and_visible_text(self, read):
        page = (
            "<!doctype html><html><head><title>Bread &amp;\n butter</title><style>p{}</style></head><body>"
            "<nav>Home <br> <ul><li>Blog</ul></nav><h1>Bread</h1>"
            "<p>One\n two<br>three <b>bo</b>ld&hellip;</p>"
            "<pre>a\n  b</pre><ul><li>x<li>y</ul><table><tr><th>n<th>m<tr><td>1<td>2</table>"
            "<p hidden>no</p><div style='display: none'>no <div>no</div></div>"
            "<script>if (a<b) '</p>'</script>"
            "end<!-- no --><footer>(c)</footer></body></html>"
        )
        text = "Bread\n\nOne two\nthree bold…\n\na\n  b\n\nx\ny\n\nn m\n1 2\n\nend"
        assert read("a.html", page) == [Document("a.html", text, "Bread & butter")]

    def test_the_first_heading_is_the_title_where_there_is_none(self, read):
        page = "<h1>Bread <i>rolls</i></h1><h1>More</h1>"
        assert read("a.htm", page) == [Document("a.htm", "Bread rolls\n\nMore", "Bread rolls")]

    @pytest.mark.parametrize(
        ("page", "text"),
        [
            (b"<meta charset=windows-1251><p>\xf5\xeb\xe5\xe1", "хлеб"),
            (b"<meta charset='iso-8859-1'><p>\x80 5", "€ 5"),
            (
                b'<meta http-equiv="Content-Type" content="text/html; charset=shift_jis"><p>\x83p\x83\x93',
                "パン",
            ),
            (b'<?xml version="1.0" encoding="iso-8859-15"?><html><p>\xa4 5</p></html>', "€ 5"),
            (b"\xef\xbb\xbf<meta charset=windows-1251><p>\xc3\xa9", "é"),
            (b"<meta charset=no-such-thing><p>\xc3\xa9", "é"),
            (b"<meta charset=base64><p>\xc3\xa9", "é"),
            ("<p>é".encode("utf-16"), "é"),
        ],
    )
    def test_encodings(self, read, page, text):
        assert read("a.html", page) == [Document("a.html", text)]

    def test_a_false_declaration_is_said(self, read):
        assert read("a.html", b"<meta charset=utf-8><p>caf\xe9") == [Document("a.html", "café")]
        assert notes(read) == ["a.html is not valid UTF-8: read as Windows-1252"]

    def test_broken_pages_give_what_they_have(self, read):
        assert read("a.html", "<p>one<b>two</p>three<tab") == [Document("a.html", "onetwo\n\nthree")]
        assert read("b.html", "<nav>all of it <p>in a nav") == [Document("b.html", "all of it\n\nin a nav")]

    def test_a_hundred_thousand_nested_elements(self, read):
        page = "<div>" * 100_000 + "deep" + "</div>" * 100_000 + "after"
        assert read("a.html", page) == [Document("a.html", "deep\nafter")]

    def test_a_page_without_text_is_skipped(self, read):
        assert read("a.html", "<p> <img src=x></p>") == [Skipped("a.html", None, "no text in it")]
        assert read("b.html", "<title>Only</title>") == [Document("b.html", "Only")]


class TestDelimited:
    def test_columns_by_name_and_numbers_typed(self, read):
        table = (
            "Id,Title,Body,year,price,zip,note\n"
            'r1,Bread,"Dough, and\nyeast.",1999,2.50,01067,\n'
            "r2,Butter,Cream.,2001,3,90210,n/a\n"
        )
        assert read("a.csv", table) == [
            Document(
                "r1",
                "Dough, and\nyeast.\n\nzip: 01067",
                "Bread",
                {"year": 1999, "price": 2.5, "zip": "01067"},
            ),
            Document(
                "r2",
                "Cream.\n\nzip: 90210\nnote: n/a",
                "Butter",
                {"year": 2001, "price": 3, "zip": "90210", "note": "n/a"},
            ),
        ]

    def test_without_a_known_text_column_all_string_columns_are_lines(self, read):
        table = "what;where;score\nBread;Oven;1\n\nButter;;2\n"
        assert read("a.csv", table) == [
            Document(
                "a.csv#2", "what: Bread\nwhere: Oven", "", {"what": "Bread", "where": "Oven", "score": 1}
            ),
            Document("a.csv#4", "what: Butter", "", {"what": "Butter", "score": 2}),
        ]

    def test_a_question_is_the_title_of_its_answer(self, read):
        table = "question;answer;score\nWhy?;Because.;1\n\nHow?;;2\n"
        assert read("a.csv", table) == [
            Document("a.csv#2", "Because.", "Why?", {"question": "Why?", "score": 1}),
            Document("a.csv#4", "How?", "", {"question": "How?", "score": 2}),
        ]

    def test_broken_rows_are_named_and_the_rest_is_read(self, read):
        table = 'id,text\n1,one\n2\n3,"thr"ee\n4,\n5,five\n6,"six\nseven\n'
        assert read("a.csv", table) == [
            Document("1", "one"),
            Skipped("a.csv", 3, "no text in it"),
            Skipped("a.csv", 4, "not valid CSV: ',' expected after '\"'"),
            Skipped("a.csv", 5, "no text in it"),
            Document("5", "five"),
            Skipped("a.csv", 7, "a quote that opens here is never closed"),
            Skipped("a.csv", 8, "no text in it"),
        ]

    def test_a_column_of_true_and_false_is_boolean(self, read):
        table = "text,a,b,c\n" + "x,true,TRUE,True\n" + "y,False,,maybe\n"
        assert read("a.csv", table) == [
            Document("a.csv#2", "x\n\nc: True", "", {"a": True, "b": True, "c": "True"}),
            Document("a.csv#3", "y\n\nc: maybe", "", {"a": False, "c": "maybe"}),
        ]
        assert read("b.csv", "question,open\nWhy?,false\n") == [
            Document("b.csv#2", "Why?", "", {"question": "Why?", "open": False})
        ]

    def test_nan_and_infinity_among_numbers_are_no_value(self, read):
        table = "text,n,m\nx,1.5,nan\ny,NaN,NaN\nz,-inf,9\n"
        assert read("a.csv", table) == [
            Document("a.csv#2", "x", "", {"n": 1.5}),
            Document("a.csv#3", "y"),
            Document("a.csv#4", "z", "", {"m": 9}),
        ]
        assert sorted(notes(read)) == [
            f"a.csv column '{name}' was left out of the metadata where it holds NaN or Infinity"
            for name in "mn"
        ]

    def test_tab_separated_values_have_no_quotes(self, read):
        table = 'id\ttext\tn\n1\t"Bread" he said\t5\n2\t"all ""quoted"""\t6\n3\ta "stray quote\t7\n'
        assert read("a.tsv", table) == [
            Document("1", '"Bread" he said', "", {"n": 5}),
            Document("2", 'all "quoted"', "", {"n": 6}),
            Document("3", 'a "stray quote', "", {"n": 7}),
        ]

    def test_names_of_columns_are_made_unique(self, read):
        assert read("a.csv", "text, n ,n,\nx,1,2,3\n") == [
            Document("a.csv#2", "x", "", {"n": 1, "n (column 3)": 2, "column 4": 3})
        ]

    def test_a_number_among_the_first_rows_decides_and_later_text_stays(self, read):
        table = "text,n\n" + "x,1\n" * 1000 + "y,many\n"
        assert read("a.csv", table)[-1] == Document("a.csv#1002", "y\n\nn: many", "", {"n": "many"})

    @pytest.mark.parametrize(
        ("table", "reason"),
        [
            ("", "no text in it"),
            ("a,b\n1,2\n", "no column holds text; the columns are a, b"),
            (
                '"a,b\n1,2\n',
                "the header cannot be read: a quote that opens here is never closed",
            ),
            (b"PK\x03\x04 a spreadsheet", "looks binary, not text"),
        ],
    )
    def test_a_table_that_cannot_be_read(self, read, table, reason):
        assert read("a.csv", table) == [Skipped("a.csv", None, reason)]

    def test_a_cell_of_ten_megabytes_and_old_encodings(self, read):
        text = "bread " * 1_700_000
        table = f'id,text\n1,"{text}"\n2,caf'.encode() + b"\xe9\n"
        assert read("a.csv", table) == [Document("1", text.strip()), Document("2", "café")]
        assert read("b.csv", "id,text\n1,é\n".encode("utf-16")) == [Document("1", "é")]


class TestJsonl:
    def test_fields_by_name_the_rest_is_metadata(self, read):
        lines = (
            '{"_id": "a", "title": "Bread", "text": "Dough.", '
            '"metadata": {"url": "u", "n": 1}, "year": 1999}\n'
            "\n"
            '{"id": 7, "contents": "Butter.", "tags": ["x", "y"], "none": null, "open": true}\r\n'
            '{"body": "No id."}\n'
            '{"id": "d", "title": "Only a title", "text": ""}'
        )
        assert read("a.jsonl", lines) == [
            Document("a", "Dough.", "Bread", {"year": 1999, "url": "u", "n": 1}),
            Document("7", "Butter.\n\ntags: x, y", "", {"tags": ["x", "y"], "open": True}),
            Document("a.jsonl#4", "No id."),
            Document("d", "Only a title"),
        ]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ('{"id": "x", "text": "y"', "not valid JSON: Expecting ',' delimiter at column 24"),
            ("not json", "not valid JSON: Expecting value at column 1"),
            ("[1, 2]", "expected a JSON object, found an array"),
            ("null", "expected a JSON object, found null"),
            ('{"id": "x", "text": {}}', "no text in it"),
            ('{"id": "x", "text": " "}', "no text in it"),
            ('{"id": "x", "n": 5, "b": true}', "no field holds text; the fields are id, n, b"),
            ('{"text": NaN}', "no text in it"),
            (
                '{"text": "y", "n": %s}' % ("9" * 5000),
                "not usable JSON: a number of more than 4,300 digits",
            ),
            ("[" * 200_000, "not usable JSON: nested too deeply"),
        ],
    )
    def test_a_broken_line_is_named_and_the_rest_is_read(self, read, line, reason):
        lines = f'{{"id": "1", "text": "one"}}\n\n{line}\n{{"id": "4", "text": "four"}}\n'
        assert read("a.jsonl", lines) == [
            Document("1", "one"),
            Skipped("a.jsonl", 3, reason),
            Document("4", "four"),
        ]

    def test_what_metadata_cannot_hold_is_left_out_and_said(self, read):
        much = "more than 4,096 values or 16 levels"
        deep = '{"a":' * 20 + "1" + "}" * 20
        line = f'{{"text": "x", "deep": {deep}, "many": {[0] * 5000}, "vector": {[0.5] * 384}, "": 1}}'
        assert read("a.ndjson", line) == [Document("a.ndjson#1", "x")]
        assert notes(read) == [
            "a.ndjson fields without a name were left out",
            f"a.ndjson field 'deep' was left out of the metadata where it holds {much}",
            f"a.ndjson field 'many' was left out of the metadata where it holds {much}",
            "a.ndjson field 'vector' was left out of the metadata where it holds a vector",
        ]

    def test_numbers_that_cannot_be_compared_are_left_out_and_said(self, read):
        line = (
            '{"id": NaN, "title": NaN, "text": "x", "nan": NaN, "inf": -Infinity, "far": 1e999, "n": 1e99, '
        )
        assert read("a.jsonl", line + f'"big": {10**400}, "metadata": {{"m": {10**308}}}}}') == [
            Document("a.jsonl#1", "x", "", {"n": 1e99})
        ]
        assert notes(read) == [
            f"a.jsonl field '{name}' was left out of the metadata where it holds"
            " NaN, Infinity or numbers of more than 308 digits"
            for name in ("nan", "inf", "far", "big", "m")
        ]

    def test_encodings(self, read):
        line = '{"id": "é", "text": "caf\u00e9"}\n'
        assert read("a.jsonl", line.encode("utf-16")) == [Document("é", "café")]
        assert read("b.jsonl", line.encode("utf-8-sig")) == [Document("é", "café")]
        assert read("c.jsonl", line.encode() + b'{"id": "2", "text": "\xe9"}') == [
            Document("é", "café"),
            Document("2", "é"),
        ]
        assert notes(read) == ["c.jsonl has 1 line that is not valid UTF-8: read as Windows-1252"]

    def test_notes_are_bounded(self, read):
        line = '{"text": "x", ' + ", ".join(f'"f{number}": NaN' for number in range(50)) + "}"
        assert read("a.jsonl", line) == [Document("a.jsonl#1", "x")]
        assert (len(notes(read)), notes(read)[-1]) == (9, "a.jsonl gave cause for more notes like these")


class TestParquet:
    @pytest.fixture
    def table(self):
        import datetime

        arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install pyarrow")
        return arrow.table(
            {
                "id": ["a", "b", None],
                "title": ["Bread", None, ""],
                "text": ["Dough.", "Butter.", ""],
                "year": [1999, None, 3],
                "day": [datetime.date(2020, 1, 2)] * 3,
                "tags": [["x", "y"], [], None],
                "vector": [[0.5], [1.5], None],
            }
        )

    def write(self, table) -> bytes:
        import io

        import pyarrow.parquet

        stream = io.BytesIO()
        pyarrow.parquet.write_table(table, stream)
        return stream.getvalue()

    def test_columns_by_name(self, read, table):
        day = "2020-01-02"
        lines = f"day: {day}"
        metadata = {"year": 1999, "day": day, "tags": ["x", "y"], "vector": [0.5]}
        assert read("a.parquet", self.write(table)) == [
            Document("a", f"Dough.\n\n{lines}\ntags: x, y", "Bread", metadata),
            Document("b", f"Butter.\n\n{lines}", "", {"day": day, "tags": [], "vector": [1.5]}),
            Document("a.parquet#3", lines, "", {"year": 3, "day": day}),
        ]
        assert notes(read) == []

    def test_all_string_columns_where_none_is_called_text(self, read, table):
        import pyarrow

        table = pyarrow.table({"q": ["Why?", "How?"], "a": pyarrow.array(["So.", None]), "n": [1, 2]})
        assert read("a.parquet", self.write(table)) == [
            Document("a.parquet#1", "q: Why?\na: So.", "", {"q": "Why?", "a": "So.", "n": 1}),
            Document("a.parquet#2", "How?", "", {"q": "How?", "n": 2}),
        ]

    def test_damaged_files_are_skipped(self, read, table):
        whole = self.write(table)
        for damaged in (
            whole[:-20],
            whole[:100],
            b"",
            b"\x00" * 500,
            whole[:50] + b"\xff" * 400 + whole[450:],
        ):
            items = read("a.parquet", damaged)
            assert [(type(item), item.line) for item in items] == [(Skipped, None)]
            assert items[0].reason.startswith("cannot be ")
