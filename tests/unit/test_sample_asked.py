"""The second set of the sample's questions: well formed, split by hash, and no repetition of the first."""

import hashlib
import json
import re
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import pytest

from indexing.evaluation import read_beir

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
ASKED = SAMPLE / "asked"
NEWER_THAN_JUDGED = sys.version_info >= (3, 14)
# Two questions repeat each other where this share of their content words is common to both (Jaccard).
NEAR = 0.6
EMPTY_WORDS = frozenset(
    """
    a about after all an and any are as at be been before but by can could did do does each every for
    from had has have how i if in into is it its me my no not of off on one only or out over should so
    some than that the their them then there they this those to up was were what when where which who
    why will with without would you your
    """.split()
)


def questions(folder):
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return {query["_id"]: query["text"] for query in map(json.loads, lines)}


def normalise(text):
    return " ".join(re.findall(r"\w+", text.casefold()))


def content_words(text):
    return frozenset(normalise(text).split()) - EMPTY_WORDS


def near(one, other):
    return len(one & other) >= NEAR * len(one | other)


@pytest.fixture(scope="module")
def qrels():
    return {split: read_beir(ASKED, split).qrels for split in ("train", "test")}


def test_there_are_enough_questions_on_both_sides(qrels):
    assert len(questions(ASKED)) >= 200
    assert min(len(judged) for judged in qrels.values()) >= 0.4 * len(questions(ASKED))


def test_ids_are_not_those_of_the_first_set():
    asked = (ASKED / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(questions(ASKED)) == len(asked)
    assert questions(ASKED).keys() & questions(SAMPLE).keys() == set()


def test_every_question_is_on_the_side_its_hash_says(qrels):
    sides = {}
    for id_, text in questions(ASKED).items():
        first_byte = hashlib.sha256(normalise(text).encode()).digest()[0]
        sides.setdefault("test" if first_byte % 2 else "train", set()).add(id_)
    assert {split: set(judged) for split, judged in qrels.items()} == sides


def test_every_question_has_a_direct_answer_and_grades_are_one_or_two(qrels):
    for judged in qrels.values():
        assert {id_ for id_, grades in judged.items() if 2 not in grades.values()} == set()
        assert {grade for grades in judged.values() for grade in grades.values()} == {1, 2}


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_answer_is_judged_twice(qrels, split):
    header, *lines = (ASKED / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    assert len(lines) == sum(len(grades) for grades in qrels[split].values())


def test_normalised_questions_are_distinct_within_and_across_both_sets():
    texts = [normalise(text) for folder in (SAMPLE, ASKED) for text in questions(folder).values()]
    assert "" not in texts
    assert sorted(text for text in set(texts) if texts.count(text) > 1) == []


def test_no_question_nearly_repeats_another():
    first, asked = (
        [(text, content_words(text)) for text in questions(folder).values()] for folder in (SAMPLE, ASKED)
    )
    assert [text for text, words in asked if not words] == []
    pairs = [*product(asked, first), *combinations(asked, 2)]
    assert [(one, other) for (one, words), (other, others) in pairs if near(words, others)] == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("How do I read a gzipped text file?", "read the text of a gzipped file", True),
        ("split python source into tokens", "split source code into words", False),
    ],
)
def test_near_is_a_share_of_common_content_words(one, other, expected):
    assert near(content_words(one), content_words(other)) == expected


@pytest.mark.skipif(NEWER_THAN_JUDGED, reason="judged on CPython 3.10 to 3.13")
@pytest.mark.skipif(sys.platform == "win32", reason="some judged functions are POSIX's")
def test_every_judged_id_exists(qrels, tmp_path):
    build = [sys.executable, "-B", str(SAMPLE / "build.py"), str(tmp_path / "beir")]
    subprocess.run(build, check=True, capture_output=True)
    with (tmp_path / "beir" / "corpus.jsonl").open(encoding="utf-8") as corpus:
        known = {json.loads(line)["_id"] for line in corpus}
    judged = {answer for side in qrels.values() for grades in side.values() for answer in grades}
    assert sorted(judged - known) == []
