"""Rows of CSV, JSON lines and Parquet: what is searched, what is the id, what is kept to filter by."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import pytest

from indexing.documents import Document, Skipped
from indexing.documents.formats import read_file
from indexing.documents.marks import Mark
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.documents.storable import MAX_VALUES, storable_value


@pytest.fixture
def read(tmp_path):
    """Write one file and read it here; the notes of the last reading are `read.notes`."""

    def reader(name: str, content: str | bytes, **options) -> list[Document | Skipped]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        formats = {"csv": "delimited", "tsv": "delimited", "jsonl": "jsonl", "parquet": "parquet"}
        kind = formats[name.rpartition(".")[2]]
        file = SourceFile(
            str(path), name, name, kind, size=path.stat().st_size, options=ReadOptions(**options)
        )
        items = list(read_file(file))
        reader.notes = file.notes
        return items

    return reader


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


class TestWhatIsSearched:
    def test_a_customer_and_an_order_number(self, read):
        row = {"id": "1", "text": "Late again.", "customer": "Anna Müller", "order_no": 10248, "stars": 2}
        metadata = {"customer": "Anna Müller", "order_no": 10248, "stars": 2}
        text = "Late again.\n\ncustomer: Anna Müller\norder_no: 10248"
        assert read("a.jsonl", lines(row)) == [Document("1", text, "", metadata)]
        table = "id,text,customer,order_no,stars\n1,Late again.,Anna Müller,10248,2\n"
        assert read("a.csv", table) == [Document("1", text, "", metadata)]

    def test_beir_is_as_it_was(self, read):
        row = {"_id": "d", "title": "Bread", "text": "Dough.", "metadata": {"author": "Anna", "url": "u"}}
        assert read("a.jsonl", lines(row)) == [
            Document("d", "Dough.", "Bread", {"author": "Anna", "url": "u"})
        ]

    def test_a_blank_text_hides_nothing(self, read):
        rows = [
            {"id": "1", "text": " ", "content": "Filled.", "description": "More."},
            {"id": "2", "text": None, "body": "Body."},
            {"id": "3", "text": "Text.", "content": ""},
        ]
        assert read("a.jsonl", lines(*rows)) == [
            Document("1", "Filled.\n\ndescription: More.", "", {"text": " ", "description": "More."}),
            Document("2", "Body."),
            Document("3", "Text.", "", {"content": ""}),
        ]

    @pytest.mark.parametrize(
        ("asked", "answered"),
        [
            ("question", "answer"),
            ("prompt", "completion"),
            ("instruction", "output"),
            ("subject", "body"),
            ("Name", "description"),
        ],
    )
    def test_known_pairs(self, read, asked, answered):
        row = {"id": 1, answered: "Because.", asked: "Why?"}
        assert read("a.jsonl", lines(row)) == [Document("1", "Because.", "Why?", {asked: "Why?"})]

    def test_an_instruction_has_an_input(self, read):
        row = {"instruction": "Add.", "input": "2, 3", "output": "5"}
        assert read("a.jsonl", lines(row)) == [
            Document("a.jsonl#1", "5\n\ninput: 2, 3", "Add.", {"instruction": "Add.", "input": "2, 3"})
        ]

    def test_a_prompt_that_is_too_long_for_a_title_stays_searched(self, read):
        prompt = "why " * 200
        assert read("a.jsonl", lines({"id": 1, "prompt": prompt, "completion": "Because."})) == [
            Document("1", f"{prompt}\n\nBecause.", prompt, {"prompt": prompt})
        ]

    def test_lists_and_objects(self, read):
        author = {"name": "Anna", "born": 1960, "id": 7}
        row = {"text": "x", "tags": ["a", "b"], "author": author, "said": [{"who": "Bob", "what": "Hi."}]}
        text = "x\n\ntags: a, b\nauthor.name: Anna\nauthor.id: 7\nsaid.who: Bob\nsaid.what: Hi."
        assert read("a.jsonl", lines(row)) == [
            Document(
                "a.jsonl#1",
                text,
                "",
                {"tags": ["a", "b"], "author": author, "said": [{"who": "Bob", "what": "Hi."}]},
            )
        ]

    def test_pictures_and_keys_are_not_words(self, read):
        key = "QUJD" * 100
        chinese = "蜜蜂采花蜜" * 80
        assert read("a.jsonl", lines({"text": "x", "picture": key, "note": chinese})) == [
            Document("a.jsonl#1", f"x\n\nnote: {chinese}", "", {"picture": key, "note": chinese})
        ]

    def test_one_column_of_text_needs_no_name(self, read):
        assert read("a.csv", "utterance,label\nHello there,3\n") == [
            Document("a.csv#2", "Hello there", "", {"utterance": "Hello there", "label": 3})
        ]

    def test_a_text_that_is_a_list_or_a_number(self, read):
        rows = [{"text": ["Bees", "find flowers"]}, {"text": 5}, {"text": {"de": "Biene", "en": "bee"}}]
        assert [item.text for item in read("a.jsonl", lines(*rows))] == [
            "Bees\nfind flowers",
            "5",
            "de: Biene\nen: bee",
        ]

    def test_a_row_knows_its_line(self, read):
        first, second = read("a.csv", 'text,a\n"x\ny",z\nlast,\n')
        assert (first.marks, second.marks) == ((Mark(0, "line", 2),), (Mark(0, "line", 4),))
        long = read("a.jsonl", lines({"text": "one\n" * 400}))[0]
        assert [mark[:3] for mark in long.marks[:3]] == [(0, "line", 1), (4, "line", 1), (8, "line", 1)]


class TestNamedFields:
    TABLE = "sku,head,a,b,c\nX-1,Bread,Dough.,Yeast.,Oven.\n"

    def test_only_what_is_named_is_searched(self, read):
        assert read("a.csv", self.TABLE, text_fields=("b", "a"), title_field="head", id_field="sku") == [
            Document("X-1", "Yeast.\n\nDough.", "Bread", {"sku": "X-1", "head": "Bread", "c": "Oven."})
        ]
        row = {"sku": "X-1", "Head": "Bread", "a": "Dough.", "b": "Yeast.", "c": "Oven."}
        metadata = {"sku": "X-1", "Head": "Bread", "c": "Oven."}
        assert read("a.jsonl", lines(row), text_fields=("b", "a"), title_field="head", id_field="SKU") == [
            Document("X-1", "Yeast.\n\nDough.", "Bread", metadata)
        ]

    def test_an_id_that_was_named_is_searched(self, read):
        assert read("a.csv", "sku,text\nX-1,Dough.\n", id_field="sku") == [
            Document("X-1", "Dough.\n\nsku: X-1", "", {"sku": "X-1"})
        ]

    @pytest.mark.parametrize("options", [{"text_fields": ("x",)}, {"title_field": "x"}, {"id_field": "x"}])
    def test_a_wrong_name_says_which_there_are(self, read, options):
        reason = "has no field 'x'; the fields are sku, head, a, b, c"
        assert read("a.csv", self.TABLE, **options) == [Skipped("a.csv", None, reason)]
        row = dict.fromkeys(("sku", "head", "a", "b", "c"), "y")
        assert read("a.jsonl", lines(row, row), **options) == [Skipped("a.jsonl", None, reason)]

    def test_a_number_may_be_the_text(self, read):
        assert read("a.csv", "id,n\n1,007\n", text_fields=("n",)) == [Document("1", "007")]


class TestIds:
    def test_ids_of_every_kind(self, read):
        ids = [1.0, 1.5, True, 0, -7, {"$oid": "65f"}, {"$numberLong": "12"}, None, "", "  ", {"a": 1}, [1]]
        got = [item.id for item in read("a.jsonl", lines(*({"id": id_, "text": "x"} for id_ in ids)))]
        assert got == ["1", "1.5", "true", "0", "-7", "65f", "12", *(f"a.jsonl#{n}" for n in range(8, 13))]
        assert read.notes == [
            "field 'id' is not the id where it holds something else than text or a number: "
            "there the place in the file is"
        ]

    def test_whole_numbers_written_as_floats(self, read):
        assert [item.id for item in read("a.csv", "id,text\n1.0,x\n2.0,y\n,z\n")] == ["1", "2", "a.csv#4"]
        assert [item.id for item in read("a.csv", "id,text\n1.0,x\n1.1,y\n")] == ["1.0", "1.1"]

    def test_no_other_column_is_the_id(self, read):
        assert read("a.csv", "uuid,key,text\nu,k,x\n")[0].id == "a.csv#2"

    def test_very_large_ids_and_codes(self, read):
        table = "id,text\n1475639471234567890,x\n007,y\n"
        assert [item.id for item in read("a.csv", table)] == ["1475639471234567890", "007"]


INSECTS = [Document("1", "Bees find flowers", "Bees"), Document("2", "Ants follow trails", "Ants")]


class TestCsv:
    @pytest.mark.parametrize(
        "table",
        [
            "sep=;\r\nid;title;text\r\n1;Bees;Bees find flowers\r\n2;Ants;Ants follow trails\r\n",
            "id,title,text\r1,Bees,Bees find flowers\r2,Ants,Ants follow trails\r",
            "id,title,text\n1,Bees,Bees find flowers,\n2,Ants,Ants follow trails,,\n",
            "id,title,text,note\n1,Bees,Bees find flowers\n2,Ants,Ants follow trails,\n",
            "Report of insects,,\n,,\nid,title,text\n1,Bees,Bees find flowers\n2,Ants,Ants follow trails\n",
            "Report of insects\n\nid,title,text\n1,Bees,Bees find flowers\n2,Ants,Ants follow trails\n",
            "# made by hand\nid|title|text\n1|Bees|Bees find flowers\n2|Ants|Ants follow trails\n",
            "\n\nid\ttitle\ttext\n1\tBees\tBees find flowers\n\n2\tAnts\tAnts follow trails\n",
        ],
    )
    def test_the_same_table_however_it_is_written(self, read, table):
        assert read("a.csv", table) == INSECTS
        assert read("b.csv", table.encode("utf-16")) == INSECTS

    def test_a_description_stands_above_the_table(self, read):
        above = 'Name:,"Insects"\nTitle:,"Bees, ants"\nText:,"One\n\ntwo"\n=====\nTable\n'
        header = "   ,id,title,text,legs,wings\n\n"
        rows = "".join(f"r{n},{n},Bee {n},Bees find flowers,6,4\n" for n in range(8))
        items = read("a.csv", above + header + rows)
        assert [item.id for item in items] == list("01234567")
        assert items[0].metadata == {"column 1": "r0", "legs": 6, "wings": 4}

    def test_columns_without_a_name(self, read):
        named_rows = "id,text\nr1,1,Bees\nr2,2,Ants\nr3,3,Wasps\n"
        assert [(item.id, item.metadata) for item in read("a.csv", named_rows)] == [
            (str(n), {"column 1": f"r{n}"}) for n in (1, 2, 3)
        ]
        more = "3,2,good,bad\n" + "1.5,2.5,a,b,c,0\n" * 3
        assert [item.text for item in read("b.csv", more)] == ["good: a\nbad: b\ncolumn 5: c"] * 3

    def test_lines_of_prose_are_one_column_however_alike_they_are(self, read):
        text = "text\napples are red\nbread is brown\ncheese is yellow\nplums are blue\n"
        found = ["apples are red", "bread is brown", "cheese is yellow", "plums are blue"]
        assert [item.text for item in read("a.csv", text)] == found

    def test_a_name_is_not_repeated_at_any_length(self, read):
        (document,) = read("a.csv", f"id,text,{'n' * 5000}\n1,x,y\n")
        assert document == Document("1", f"x\n\n{'n' * 200}: y", "", {"n" * 200: "y"})

    def test_commas_without_quotes_are_more_columns(self, read):
        rows = "".join(f"{n},Main St {n}, Berlin, Germany, Europe\n" for n in range(5))
        items = read("a.csv", "id,text\n" + rows)
        assert [item.id for item in items] == list("01234")
        assert items[1].text == "Main St 1\n\ncolumn 3: Berlin\ncolumn 4: Germany\ncolumn 5: Europe"
        items = read("b.csv", "id,text\n" + "".join(f"{n},Hello {n}, world\n" for n in range(5)))
        assert (items[3].id, items[3].text) == ("3", "Hello 3\n\ncolumn 3: world")

    def test_what_databases_write_for_no_value(self, read):
        assert read("a.tsv", "id\ttext\tn\twho\n1\tx\t\\N\t\\N\n2\ty\t5\tAnna\n") == [
            Document("1", "x"),
            Document("2", "y\n\nwho: Anna", "", {"n": 5, "who": "Anna"}),
        ]

    def test_columns_between_spaces(self, read):
        table = "'id'  'text' 'n'\n1     Bees   5\n2     Ants   6\n3     Wasps  7\n"
        assert [item.metadata for item in read("a.csv", table)] == [
            {"'id'": 1, "'text'": "Bees", "'n'": 5},
            {"'id'": 2, "'text'": "Ants", "'n'": 6},
            {"'id'": 3, "'text'": "Wasps", "'n'": 7},
        ]
        assert [item.text for item in read("b.csv", "full name\nAnna Ott\nBo Ek\nCy Fay\n")] == [
            "Anna Ott",
            "Bo Ek",
            "Cy Fay",
        ]

    def test_rows_that_end_early_are_said(self, read):
        assert read("a.csv", "id,text,note\n1,x\n2,y,z\n") == [
            Document("1", "x"),
            Document("2", "y\n\nnote: z", "", {"note": "z"}),
        ]
        assert read.notes == ["has rows that end early: the cells they lack were read as empty"]

    def test_commas_and_semicolons(self, read):
        assert read("a.csv", 'id,"a;b;c;d",text\n1,x,Bees\n') == [
            Document("1", "Bees\n\na;b;c;d: x", "", {"a;b;c;d": "x"})
        ]
        assert read("b.csv", "id;name, first;text\n1;Anna, B;Bees\n2;Carl, D;Ants, too\n") == [
            Document("1", "Bees\n\nname, first: Anna, B", "", {"name, first": "Anna, B"}),
            Document("2", "Ants, too\n\nname, first: Carl, D", "", {"name, first": "Carl, D"}),
        ]
        assert read("c.csv", "text\nHello, world\nno comma\n") == [
            Document("c.csv#2", "Hello, world"),
            Document("c.csv#3", "no comma"),
        ]

    def test_quotes_escaped_by_a_backslash(self, read):
        table = 'id,text\n1,"He said \\"hello\\" to bees"\n2,C:\\new\n3,"a\\"b\nc",\n4,"x\\" y, z"\n'
        assert read("a.csv", table) == [
            Document("1", 'He said "hello" to bees'),
            Document("2", "C:\\new"),
            Document("3", 'a"b\nc'),
            Document("4", 'x" y, z'),
        ]

    def test_a_stray_quote_costs_its_line(self, read):
        table = 'id,text\n1,"never closed\n2,two\n3,"three"\n4,"again\n5,five\n'
        assert read("a.csv", table) == [
            Skipped("a.csv", 2, "not valid CSV: ',' expected after '\"'"),
            Document("2", "two"),
            Document("3", "three"),
            Skipped("a.csv", 5, "a quote that opens here is never closed"),
            Document("5", "five"),
        ]

    def test_quoted_tabs_and_breaks_in_tsv(self, read):
        table = (
            'id\ttext\n1\t"Bees find\nflowers"\n2\t"Ants\tfollow"\n'
            '3\t5" nails\n4\t"6" nails\n5\t"open\n6\tx\n'
        )
        assert read("a.tsv", table) == [
            Document("1", "Bees find\nflowers"),
            Document("2", "Ants\tfollow"),
            Document("3", '5" nails'),
            Document("4", '"6" nails'),
            Document("5", '"open'),
            Document("6", "x"),
        ]

    def test_one_bad_cell_does_not_make_numbers_text(self, read):
        table = "text,price,zip\n" + "x,5,90210\n" * 20 + "y,call us,01067\nz,n/a,90211\n"
        items = read("a.csv", table)
        assert [item.metadata for item in items[-3:]] == [
            {"price": 5, "zip": "90210"},
            {"price": "call us", "zip": "01067"},
            {"price": "n/a", "zip": "90211"},
        ]

    def test_decimal_commas_between_semicolons(self, read):
        rows = "x;2,50;1,5;7;1.5\ny;-3;1.5;8;2\nz;1.234,5;a;9;3\nw;;b;1,0;4\n"
        items = read("a.csv", "text;price;mixed;late;point\n" + rows)
        assert [item.metadata for item in items] == [
            {"price": 2.5, "mixed": "1,5", "late": 7, "point": 1.5},
            {"price": -3, "mixed": "1.5", "late": 8, "point": 2},
            {"price": 1234.5, "mixed": "a", "late": 9, "point": 3},
            {"mixed": "b", "late": 1.0, "point": 4},
        ]
        assert read("b.csv", 'text,n\nx,"2,50"\n')[0].metadata == {"n": "2,50"}

    @pytest.mark.parametrize("table", ["id,text\n", "id,text", "\n\n", ""])
    def test_a_table_without_rows(self, read, table):
        assert read("a.csv", table) == [Skipped("a.csv", None, "no text in it")]


class TestJson:
    @pytest.mark.parametrize(
        "content",
        [
            '[\n  {"id":1,"text":"Bees"},\n  {"id":2,"text":"Ants"}\n]\n',
            '[{"id":1,"text":"Bees"},{"id":2,"text":"Ants"}]',
            '{"id":1,"text":"Bees"}{"id":2,"text":"Ants"}\n',
            '{"id":1,"text":"Bees"} {"id":2,"text":"Ants"}\n',
            '{\n  "id": 1,\n  "text": "Bees"\n}\n{\n  "id": 2,\n  "text": "Ants"\n}\n',
            '[{"id": 1,\n"text": "Bees"}, {"id": 2, "text":\n"Ants"}]',
        ],
    )
    def test_however_the_objects_are_laid_out(self, read, content):
        assert read("a.jsonl", content) == [Document("1", "Bees"), Document("2", "Ants")]

    def test_brackets_in_texts_and_broken_objects(self, read):
        content = '[\n{"text": "a ] } \\" b"},\n{"text": oops},\n{"text": "c"},\n{"text": "d"'
        assert read("a.jsonl", content) == [
            Document("a.jsonl#2", 'a ] } " b'),
            Skipped("a.jsonl", 3, "not valid JSON: Expecting value at column 10"),
            Document("a.jsonl#4", "c"),
            Skipped("a.jsonl", 5, "not valid JSON: ends at line 5, inside of an object"),
        ]

    def test_two_on_a_line_without_ids_stay_apart(self, read):
        assert read("a.jsonl", '{"text": "a"}{"text": "b"}\n') == [
            Document("a.jsonl#1", "a"),
            Document("a.jsonl#1.2", "b"),
        ]

    def test_line_separators_of_unicode_are_text(self, read):
        assert read("a.jsonl", '{"id":1,"text":"Bees\u2028find\x85flowers"}\n') == [
            Document("1", "Bees\u2028find\x85flowers")
        ]

    def test_nan_in_a_list_or_object_leaves_the_rest(self, read):
        content = '{"id": 1, "text": "x", "list": [1, NaN, 2], "object": {"a": Infinity, "b": 1}}\n'
        assert read("a.jsonl", content) == [
            Document("1", "x", "", {"list": [1, None, 2], "object": {"b": 1}})
        ]
        reason = (
            "was left out of the metadata where it holds NaN, Infinity or numbers of more than 308 digits"
        )
        assert read.notes == [f"field 'list' {reason}", f"field 'object' {reason}"]


class TestMetadataValues:
    @pytest.mark.parametrize(
        ("value", "stored"),
        [
            (date(2024, 5, 1), "2024-05-01"),
            (datetime(2024, 5, 1, 10, tzinfo=timezone.utc), "2024-05-01T10:00:00Z"),
            (datetime(2024, 5, 1, 10, 0, 0, 5), "2024-05-01T10:00:00.000005"),
            (time(10, 30), "10:30:00"),
            (timedelta(hours=1), 3600),
            (Decimal("2.50"), 2.5),
            (Decimal(10**20), 10**20),
            (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
            (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (PurePosixPath("a/b"), "a/b"),
            ((1, "a", None, [2.5]), [1, "a", None, [2.5]]),
            ({"a": {"b": date(2024, 5, 1)}, 2024: 1}, {"a": {"b": "2024-05-01"}, "2024": 1}),
            ([], []),
            ({}, {}),
        ],
    )
    def test_what_is_kept(self, value, stored):
        assert storable_value(value) == (True, stored)

    @pytest.mark.parametrize(
        "value",
        [
            float("nan"),
            10**400,
            Decimal("NaN"),
            Decimal("1e999999999"),
            b"bytes",
            {1, 2},
            object(),
            [float("inf")],
            {"a": b"x"},
            {" ": 1},
            [0] * MAX_VALUES,
        ],
    )
    def test_what_is_refused(self, value):
        assert storable_value(value) == (False, None)

    def test_what_is_lost_is_said(self):
        lost: list[str] = []
        assert storable_value({"a": b"x", "b": [1, {2}]}, lost) == (True, {"b": [1, None]})
        assert lost == ["bytes", "a set"]
