"""Judgments from other programs, and to them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.facade.caller import Caller
from app.facade.feedback import Wanted, export_feedback, import_feedback, record
from app.feedback.exchange import export_judgments, import_judgments, settle
from app.feedback.formats import Judged, JudgmentFile, read_judgments
from app.feedback.model import Saying
from app.feedback.place import FeedbackPlace
from app.feedback.questions import normalise_question, question_hash
from app.feedback.table import close_databases, read_sayings
from app.settings import Location
from indexing.errors import BadInput

from .conftest import HONEY


def write_beir(folder, queries, qrels, split="train"):
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_text(queries, encoding="utf-8")
    (folder / "qrels" / f"{split}.tsv").write_text(qrels, encoding="utf-8")
    return folder


@pytest.fixture
def beir(tmp_path):
    return write_beir(
        tmp_path / "judged",
        '{"_id": "1", "text": "who makes honey?"}\n{"_id": "2", "text": "guards"}\n',
        "query-id\tcorpus-id\tscore\n1\tbee\t2\n1\tdog\t0\n2\tdog\t1\n2\tyeti\t1\n",
    )


def grades(place):
    """Normalised question → document → grade."""
    return {normalise_question(text): judged for text, judged in settle(read_sayings(place)).values()}


EXPECTED = {"who makes honey": {"bee": 2, "dog": 0}, "guards": {"dog": 1, "yeti": 1}}


def test_a_beir_folder_becomes_sayings_of_import(animals, ann, place, location, beir):
    done = import_feedback(ann, location, animals, beir)
    assert (done.questions, done.added, done.changed, done.unchanged) == (2, 4, 0, 0)
    assert (done.unknown, done.bad, done.lost) == (("yeti",), (), ())
    assert grades(place) == EXPECTED
    assert {(one.who, one.kind, one.source, one.collection) for one in read_sayings(place)} == {
        ("import", "import", "judged/train", animals.uuid)
    }


def test_a_second_time_adds_nothing_and_another_grade_replaces(animals, ann, place, location, beir):
    import_feedback(ann, location, animals, beir)
    done = import_feedback(ann, location, "animals", beir)
    assert (done.added, done.changed, done.unchanged) == (0, 0, 4)
    (beir / "qrels" / "train.tsv").write_text("1\tbee\t3\n1\tcat\t1\n")
    done = import_feedback(ann, location, animals, beir)
    assert (done.added, done.changed, done.unchanged) == (1, 1, 0)
    assert grades(place)["who makes honey"] == {"bee": 3, "dog": 0, "cat": 1}
    assert len(read_sayings(place)) == 6


def test_bad_lines_are_named_and_do_not_lose_the_rest(animals, ann, place, location, tmp_path):
    folder = write_beir(
        tmp_path / "judged",
        '{"_id": "1", "text": "who makes honey?"}\n{"_id": \n[1]\n{"_id": "4", "text": " "}\n',
        "query-id\tcorpus-id\tscore\n1\tbee\tgood\n1\tbee\n1\tdog\t1\n7\tbee\t1\n4\tbee\t1\n1\t\t1\n1\tcat\t5000\n",
    )
    done = import_feedback(ann, location, animals, folder)
    queries, qrels = folder / "queries.jsonl", folder / "qrels" / "train.tsv"
    assert list(done.bad) == [
        f"{queries}, line 2: expected an object with _id and text",
        f"{queries}, line 3: expected an object with _id and text",
        f"{qrels}, line 2: grade 'good': give a whole number",
        f"{qrels}, line 3: expected query-id, corpus-id, score",
        f"{qrels}, line 6: the question is empty",
        f"{qrels}, line 7: the document has no id",
        f"{qrels}, line 8: grade 5000: give a whole number from -1000 to 1000",
    ]
    assert done.lost == ("7",) and grades(place) == {"who makes honey": {"dog": 1}}


CSV = b"""\xef\xbb\xbfgrade,Question,note,Document
2,"who makes ""honey""?",x,bee
1,"guards,
at night",,dog
2,short
,guards,,dog
1,caf\xff,,dog

1,guards,,cat
"""


def test_a_csv_file_names_its_columns(animals, ann, place, location, tmp_path):
    path = tmp_path / "judged.csv"
    path.write_bytes(CSV)
    done = import_feedback(ann, location, animals, path)
    assert grades(place) == {
        "who makes honey": {"bee": 2},
        "guards at night": {"dog": 1},
        "guards": {"cat": 1},
    }
    assert list(done.bad) == [
        f"{path}, line 5: 2 cells, fewer than the header names",
        f"{path}, line 6: grade '': give a whole number",
        f"{path}, line 7: not UTF-8, or holds NUL: convert the file",
    ]
    path.write_text("question,answer\n")
    with pytest.raises(
        BadInput, match="the first line has no column 'document': begin the file with question"
    ):
        import_feedback(ann, location, animals, path)


TOPICS = """<top>
<num> Number: 301
<title> Who makes
 honey?

<desc> Description:
Something longer.
</top>
<top><num>302<title>guards</top>
"""


@pytest.mark.parametrize("topics", [TOPICS, "301\tWho makes honey?\n302\tguards\nno tab\n"])
def test_trec_qrels_take_their_questions_from_topics(animals, ann, place, location, tmp_path, topics):
    qrels, questions = tmp_path / "qrels.trec", tmp_path / "topics.txt"
    qrels.write_text("301 0 bee 2\n302 Q0 dog -1\n303 0 dog 1\nbroken\n")
    questions.write_text(topics)
    done = import_feedback(ann, location, animals, qrels, topics=questions)
    assert grades(place) == {"who makes honey": {"bee": 2}, "guards": {"dog": -1}}
    assert done.lost == ("303",)
    assert done.bad[-1] == f"{qrels}, line 4: expected question, iteration, document, grade"
    with pytest.raises(BadInput, match="TREC qrels have no questions: name the file that has with --topics"):
        import_feedback(ann, location, animals, qrels)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("nothing", {}, "nothing: no such file or folder"),
        (".", {}, r"no queries\.jsonl; give a folder in BEIR layout"),
        ("judged", {"split": "dev"}, "no judgments for split 'dev'; there are: train"),
        ("judged", {"format": "xml"}, "format 'xml': use one of beir, csv, trec"),
    ],
)
def test_what_is_no_file_of_judgments_is_told(animals, ann, location, beir, path, options, message):
    with pytest.raises(BadInput, match=message):
        import_feedback(ann, location, animals, beir.parent / path, **options)


def test_the_middle_grade_of_the_people_is_exported(animals, ann, ben, location, tmp_path):
    people = [ann, ben, Caller("cid"), Caller("dan")]
    for person, grade in zip(people, (3, 0, 1, 2), strict=True):
        record(person, location, animals, HONEY, "bee", "grade", grade)
    for person, grade in zip(people[:3], (0, 3, 1), strict=True):
        record(person, location, animals, HONEY, "dog", "grade", grade)
    record(ann, location, animals, HONEY, "dog", "grade", 2)
    done = export_feedback(ann, location, animals, tmp_path / "out", format="csv")
    assert (done.questions, done.judgments) == (1, 2)
    text = (tmp_path / "out" / "feedback.csv").read_bytes().decode()
    assert text == f"question,document,grade\r\n{HONEY},bee,1\r\n{HONEY},dog,2\r\n"
    done = export_feedback(ann, location, animals, tmp_path / "hers", wanted=Wanted(person="ann"))
    assert (tmp_path / "hers" / "qrels" / "train.tsv").read_text().splitlines()[1:] == [
        f"{question_hash(HONEY)[:16]}\tbee\t3",
        f"{question_hash(HONEY)[:16]}\tdog\t2",
    ]
    with pytest.raises(BadInput, match=r"queries\.jsonl exists already: give another folder"):
        export_feedback(ann, location, animals, tmp_path / "hers")


def test_ids_that_a_format_cannot_hold_are_named(tmp_path):
    ids = ["plain", "two words", "a\ttab", "line\nfeed"]
    said = [saying(number, "q", id_, 1) for number, id_ in enumerate(ids, 1)]
    assert export_judgments(said, tmp_path / "b", "beir").left_out == ("a\ttab", "line\nfeed")
    assert export_judgments(said, tmp_path / "t", "trec").left_out == tuple(ids[1:])
    assert export_judgments(said, tmp_path / "c", "csv").left_out == ()


def saying(number, question, document, grade):
    words = (question, question_hash(question), document, "import", grade, "", "file")
    return Saying(number, "c", 1.0, "import", "", *words)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)
plain_ids = st.text(st.characters(categories=["L", "N", "P"], codec="utf-8"), min_size=1, max_size=12)
questions = texts.filter(normalise_question)


@pytest.mark.parametrize(("format", "ids"), [("csv", texts), ("beir", plain_ids), ("trec", plain_ids)])
def test_what_is_exported_is_imported_again(format, ids):
    @given(st.lists(st.tuples(questions, ids, st.integers(-3, 9)), max_size=12))
    @settings(max_examples=40, deadline=None)
    def check(judged):
        said = [saying(number, *one) for number, one in enumerate(judged, 1)]
        expected = {hashed: grades for hashed, (_, grades) in settle(said).items()}
        with tempfile.TemporaryDirectory() as folder:
            place = FeedbackPlace(Location(Path(folder)), Path(folder) / "feedback.sqlite")
            export_judgments(said, Path(folder) / "out", format)
            file = read_judgments(Path(folder) / "out")
            assert (file.bad, file.lost) == ([], [])
            import_judgments(place, "c", file)
            again = import_judgments(place, "c", file)
            found = settle(read_sayings(place))
            close_databases()
        assert {hashed: grades for hashed, (_, grades) in found.items()} == expected
        assert (again.added, again.changed) == (0, 0)

    check()


def test_twenty_thousand_judgments_are_one_transaction_of_a_second_or_two(place):
    judged = [Judged(f"question number {i % 1000}", f"d{i}", i % 3) for i in range(20_000)]
    started = time.process_time()
    assert import_judgments(place, "c", JudgmentFile("many", judged)).added == 20_000
    assert import_judgments(place, "c", JudgmentFile("many", judged)).unchanged == 20_000
    assert time.process_time() - started < 20  # far above what it takes: machines are shared
