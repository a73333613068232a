"""What recipes read: tables of many kinds, collections in BEIR layout, and what they refuse."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("datasets")
pytest.importorskip("accelerate")

from stlib.errors import InvalidInput, InvalidOption
from stlib.recipes import _common, _data, _inputs, multilingual, sts


def test_files_of_the_sts_benchmark_are_read_without_a_header(tmp_path):
    file = tmp_path / "sts-dev.csv"
    row = 'main-captions\tMSRvid\t2012test\t0001\t{}\tHe said "no, A.\tB "quoted" b.\tlicence\n'
    file.write_text(row.format("5.000") + row.format("1.250"))
    rows = _data.read_similarities(str(file))
    assert rows[0] == {"sentence1": 'He said "no, A.', "sentence2": 'B "quoted" b.', "score": 1.0}
    assert rows["score"][:] == [1.0, 0.25]


def test_scores_up_to_one_stay_as_they_are(tmp_path):
    file = tmp_path / "sts.csv"
    file.write_text('sentence1,sentence2,score\n"a, b",c,0.5\nd,e,1\n')
    rows = _data.read_similarities(str(file))
    assert (rows["sentence1"][:], rows["score"][:]) == (["a, b", "d"], [0.5, 1.0])


def test_other_names_and_orders_of_columns_are_understood(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"answer": "a", "id": 7, "query": "q"}))
    pairs = _data.read_pairs(str(file))
    assert (pairs.column_names, pairs[0]) == (["anchor", "positive"], {"anchor": "q", "positive": "a"})


def test_scored_tables_and_pairs_are_told_apart(tmp_path):
    scores, pairs = tmp_path / "scores.csv", tmp_path / "pairs.csv"
    scores.write_text("sentence1,sentence2,score\na,b,1\n")
    pairs.write_text("anchor,positive,negative\na,b,c\n")
    assert _data.read_scored_or_pairs(str(scores)).column_names == ["sentence1", "sentence2", "score"]
    assert _data.read_scored_or_pairs(str(pairs)).column_names == ["anchor", "positive", "negative"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence1,text\na,b\n", r"has the columns sentence1, text; it also needs sentence2/question2"),
        ("sentence1,sentence2,score\na,b,1\nc,d,high\n", r"row 2, column score: 'high' is no finite number"),
        ("sentence1,sentence2,score\na,b,1\na\n", r"row 2, column sentence2: None is no str"),
        ("sentence1,sentence2,score\n", r"has no rows"),
    ],
)
def test_broken_tables_are_refused_with_the_place(content, message, tmp_path):
    file = tmp_path / "broken.csv"
    file.write_text(content)
    with pytest.raises(InvalidOption, match=message):
        _data.read_similarities(str(file))


def test_a_file_that_is_not_there_is_not_looked_up_on_the_hub():
    with pytest.raises(InvalidOption, match=r"missing\.csv is no file"):
        _data.read_pairs("missing.csv")


def test_collections_keep_relevant_documents_only(tmp_path):
    (tmp_path / "qrels").mkdir()
    corpus = [{"_id": "1", "title": "Tides", "text": "Sea."}, {"_id": "2", "text": "Bread."}]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (tmp_path / "queries.jsonl").write_text('{"_id": "a", "text": "q"}\n{"_id": "b", "text": "unjudged"}')
    judged = "query-id\tcorpus-id\tscore\na\t1\t2\na\t2\t0\nb\t2\t-1\na\tgone\t1\n"
    (tmp_path / "qrels" / "test.tsv").write_text(judged)
    collection = _data.read_collection(str(tmp_path), "test")
    # Grades are kept where there are some.
    assert collection == ({"a": "q"}, {"1": "Tides Sea.", "2": "Bread."}, {"a": {"1": 2}})
    assert _data.read_titles(str(tmp_path))[:] == {"anchor": ["Tides"], "positive": ["Sea."]}
    assert collection.pairs()[:] == {"anchor": ["q"], "positive": ["Tides Sea."]}


def test_pairs_become_a_collection_of_their_positives(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_text("anchor\tpositive\nq\ta\nq\tb\nr\ta\n")
    queries, corpus, relevant = _data.read_collection(str(file), "test")
    found = {queries[q]: {corpus[d] for d in documents} for q, documents in relevant.items()}
    assert found == {"q": {"a", "b"}, "r": {"a"}}
    assert sorted(corpus.values()) == ["a", "b"]


def test_named_files():
    assert _common.split_named("de=a=b.tsv") == ("de", "a=b.tsv")
    with pytest.raises(InvalidOption, match="expected NAME=FILE"):
        _common.split_named("a.tsv")


def beir(folder, corpus='{"_id": "1", "text": "Sea."}\n', qrels="query-id\tcorpus-id\tscore\na\t1\t1\n"):
    (folder / "qrels").mkdir()
    (folder / "corpus.jsonl").write_text(corpus, encoding="utf-8-sig")
    (folder / "queries.jsonl").write_text('{"_id": "a", "text": "q"}\n', encoding="utf-8-sig")
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8-sig")
    return str(folder)


@pytest.mark.parametrize("header", ["query-id\tcorpus-id\tscore\n", ""])
def test_judgments_need_no_header(header, tmp_path):
    collection = _data.read_collection(beir(tmp_path, qrels=f"{header}a\t1\t1\n"), "test")
    assert collection == ({"a": "q"}, {"1": "Sea."}, {"a": {"1"}})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "no line with a score of 1 or more; give lines"),
        ("a\t1\t0\na\t2\t-1\n", "no line with a score of 1 or more; give lines"),
        ("b\t1\t1\n", r"none of its questions, such as 'b', is in queries\.jsonl"),
        ("b\t1\t1\na\t7\t1\n", r"none of its documents, such as '7', is in corpus\.jsonl"),
    ],
)
def test_judgments_of_nothing_say_what_is_lacking(lines, message, tmp_path):
    source = beir(tmp_path, qrels=f"query-id\tcorpus-id\tscore\n{lines}")
    with pytest.raises(InvalidOption, match=rf"test\.tsv judges no document as relevant: .*{message}"):
        _data.read_collection(source, "test")


MISTYPED = ["./m", "../m", "/no/where", "~/nowhere", "a/b/c", "m/", "pairs.csv", "owner/x.JSONL", "a.csv.gz"]


@pytest.mark.parametrize("given", [*MISTYPED, "C:\\model", "folder/typo", "NAME=pairs.tsv"])
def test_a_path_to_nothing_is_refused_at_once(given, tmp_path, monkeypatch, capsys):
    """Before a model is loaded, and without asking the hub."""
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for options in (["--train", given], ["--train", "owner/data", "--model", given]):
        with pytest.raises(SystemExit):
            sts.main([*options, "--output", "out"])
        assert f"{options[-2]}: there is no file or folder {given!r}; give one" in capsys.readouterr().err


def test_names_of_the_hub_and_what_is_there_pass(tmp_path, monkeypatch):
    (tmp_path / "pairs.csv").touch()
    monkeypatch.chdir(tmp_path)
    names = [
        "owner/model-v1.5",
        "model",
        "owner/data:v1.1",
        "pairs.csv",
        "./pairs.csv",
        "N=pairs.csv",
        "N=o/d",
    ]
    assert [_inputs.place(name) for name in [*names, str(tmp_path)]] == [*names, str(tmp_path)]


def test_broken_collections_are_refused_with_the_place(tmp_path):
    source = beir(tmp_path, corpus='{"_id": "1", "text": "Sea."}\n{"_id": "2", "title": "T"}\n')
    with pytest.raises(
        InvalidInput, match=r"corpus\.jsonl, line 2: expected a JSON object with _id and text"
    ):
        _data.read_collection(source, "test")
    with pytest.raises(InvalidOption, match=r"document 2 has no text"):
        _data.read_titles(source)


def test_judgments_of_another_split_are_not_taken(tmp_path):
    with pytest.raises(InvalidOption, match=r"train\.tsv is missing; the folder has judgments of: test"):
        _data.read_collection(beir(tmp_path), "train")


def test_datasets_that_the_hub_does_not_give_are_one_line(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InvalidInput, match=r"owner/mistyped is no file here, and split 'train' of a dataset"):
        _data.read_pairs("owner/mistyped")


@pytest.mark.parametrize("given", ["-1", "0", "1.5", "many"])
def test_limits_are_whole_numbers_above_zero(given, capsys):
    parser = _inputs.argument_parser("anything")
    _inputs.add_text_arguments(parser)
    assert parser.parse_args(["texts.txt", "--limit", "3"]).limit == 3
    with pytest.raises(SystemExit):
        parser.parse_args(["texts.txt", "--limit", given])
    assert f"argument --limit: '{given}' is no whole number of 1 or more" in capsys.readouterr().err


SPLIT = """split,genre,score,sentence1,sentence2
train,g,0.5,a,b
train,g,1.0,c,d
dev,g,2.5,e,f
test,g,5.0,g,h
test,g,0.0,i,j
"""


@pytest.mark.parametrize(
    ("split", "first", "scores"),
    [("train", "a", [0.1, 0.2]), ("validation", "e", [0.5]), ("test", "g", [1.0, 0.0])],
)
def test_a_column_split_is_obeyed_and_the_scale_is_that_of_the_file(split, first, scores, tmp_path):
    file = tmp_path / "stsbenchmark.csv"
    file.write_text(SPLIT)
    rows = _data.read_similarities(str(file), split=split)
    assert (rows[0]["sentence1"], rows["score"][:]) == (first, scores)
    assert _data.read_similarities(str(file), split=split, limit=1)["score"][:] == scores[:1]


def test_a_split_that_is_not_in_the_column_is_refused(tmp_path):
    file = tmp_path / "sts.csv"
    file.write_text("".join(line for line in SPLIT.splitlines(True) if not line.startswith("test")))
    with pytest.raises(InvalidOption, match=r"no row of the split 'test'; its column split has: dev, train"):
        _data.read_similarities(str(file), split="test")


@pytest.mark.parametrize("values", [("dev", "dev"), ("wood", "train")])
def test_a_column_split_that_tells_nothing_apart_is_ignored(values, tmp_path):
    file = tmp_path / "sts.csv"
    file.write_text("split,sentence1,sentence2,score\n" + "".join(f"{v},a,b,1\n" for v in values))
    assert len(_data.read_similarities(str(file), split="test")) == 2


def test_the_scale_is_found_before_the_limit(tmp_path):
    file = tmp_path / "sts.csv"
    file.write_text("sentence1,sentence2,score\na,b,1\nc,d,0.5\ne,f,4\n")
    assert _data.read_similarities(str(file), limit=2)["score"][:] == [0.2, 0.1]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ("1\nnan", "row 2, column score: 'nan' is no finite number"),
        ("1\ninf", "row 2, column score: 'inf' is no finite number"),
        ("1\n80", r"has the score 80\.0, but expected are scores from 0 to 5"),
        ("2\n-0.5", r"has the score -0\.5, but expected"),
        ("1\n-1.5", r"has the score -1\.5, but expected"),
    ],
)
def test_scores_beyond_the_scale_are_refused(scores, message, tmp_path):
    file = tmp_path / "sts.csv"
    file.write_text("sentence1,sentence2,score\n" + "".join(f"a,b,{s}\n" for s in scores.split("\n")))
    with pytest.raises(InvalidOption, match=message):
        _data.read_similarities(str(file), limit=1)


@pytest.mark.parametrize(
    ("header", "swapped"),
    [("en\tde", False), ("de\ten-GB", True), ("English\ttarget_text", False), ("EN\tzh-Hant", False)],
)
@pytest.mark.parametrize("limit", [None, 1])
def test_a_line_of_languages_is_no_translation(header, swapped, limit, tmp_path, caplog):
    file = tmp_path / "pairs.tsv"
    file.write_text(f"{header}\nGood day\tGuten Tag\nyes\tja\n")
    rows = multilingual.read(str(file), "train", limit)
    expected = [("Good day", "Guten Tag"), ("yes", "ja")][:limit]
    left, right = ("non_english", "english") if swapped else ("english", "non_english")
    assert rows.column_names == ["english", "non_english"]
    assert list(zip(rows[left][:], rows[right][:], strict=True)) == expected
    assert "is taken for names of columns" in caplog.text


@pytest.mark.parametrize("header", ["english\tnon_english\n", ""])
def test_translations_are_kept_from_the_first_on(header, tmp_path, caplog):
    file = tmp_path / "pairs.tsv"
    file.write_text(f"{header}Good day\tGuten Tag\nyes\tja\n")
    assert multilingual.read(str(file), "train")["non_english"][:] == ["Guten Tag", "ja"]
    assert multilingual.read(str(file), "train", 1)["english"][:] == ["Good day"]
    assert not caplog.text


def test_a_folder_is_called_one(tmp_path):
    with pytest.raises(InvalidOption, match=r"is a folder; only the recipes of questions and documents"):
        _data.read_similarities(str(tmp_path))
