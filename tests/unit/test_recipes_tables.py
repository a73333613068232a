"""How recipes read tables: what separates cells, what quotation marks mean, and which rows are refused."""

from __future__ import annotations

import csv
import gzip

import pytest

from stlib.errors import InvalidInput
from stlib.recipes._inputs import read_rows, read_texts


def written(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("name", ["one.tsv", "one.tsv.gz"])
def test_tsv_is_never_cut_at_commas(name, tmp_path):
    text = "text\nIron rusts, slowly.\nDough, yeast, gas\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert read_texts(path) == ["Iron rusts, slowly.", "Dough, yeast, gas"]


def test_csv_with_a_header_of_tabs_is_read_by_tabs(tmp_path):
    path = written(tmp_path / "a.csv", "query\tanswer\na, b\tc, d\n")
    assert read_rows(path) == [{"query": "a, b", "answer": "c, d"}]


def test_a_tab_inside_of_a_csv_is_text(tmp_path):
    path = written(tmp_path / "a.csv", '1,"left\tright"\n2,plain\n')
    assert read_rows(path, numbered=True) == [{"0": "1", "1": "left\tright"}, {"0": "2", "1": "plain"}]


@pytest.mark.parametrize(("name", "tab"), [("a.csv", ","), ("a.tsv", "\t")])
def test_a_row_with_more_cells_than_names_is_refused(name, tab, tmp_path):
    path = written(tmp_path / name, f'id{tab}text\n1{tab}"two\nlines ""x"""\n2{tab}first{tab} second\n')
    with pytest.raises(InvalidInput, match=rf"line 4 of .*{name} has 3 cells, but the first line names 2"):
        read_rows(path)


def test_a_quotation_mark_that_never_closes_is_refused(tmp_path):
    path = written(tmp_path / "a.csv", 'id,text\n1,"open\n2,lost\n')
    with pytest.raises(InvalidInput, match=r"the row at line 2 of .*a\.csv cannot be read"):
        read_rows(path)


TEXTS = ['He said "no".', "two\nlines", "a\ttab", '"all of it"', "a, b", 'tab\tline\nand "mark"', ""]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_tables_of_csv_writers_come_back(quoting, ending, kind, tmp_path):
    path = tmp_path / f"a.{kind}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=quoting, lineterminator=ending)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(TEXTS))
    assert [row["text"] for row in read_rows(path)] == TEXTS


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_a_table_that_quotes_every_text_is_quoted(quoting, tmp_path):
    path = tmp_path / "a.tsv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=quoting)
        writer.writerows([["text", "score"], ["plain", 1.5], ["more", 2]])
    assert [row["text"] for row in read_rows(path)] == ["plain", "more"]


@pytest.mark.parametrize(
    "cells",
    [
        [["a", 'He said "no, A.'], ["b", "B"]],
        [["a", '"Yes" he said'], ["b", "B"]],
        [["a", '"Yes, I did."'], ["b", "B"]],
        [["a", 'a 5" disk and 3" disk'], ["b", '""']],
        [['"opens here', "x"], ["b", "y"], ['and closes"', "z"]],
        [["a", '"opens here'], ["b", "y"], ['closes"', "z"]],
    ],
)
def test_marks_of_raw_tables_stay(cells, tmp_path):
    lines = ["left\tright", *("\t".join(row) for row in cells)]
    path = written(tmp_path / "raw.tsv", "\n".join(lines) + "\n")
    assert [list(row.values()) for row in read_rows(path)] == cells


def test_lines_of_text_end_at_line_feeds_only(tmp_path):
    path = written(tmp_path / "a.txt", "one\u2028still one\x0cand on\r\n\ntwo\x85too\n")
    assert read_rows(path) == [{"text": "one\u2028still one\x0cand on"}, {"text": "two\x85too"}]
