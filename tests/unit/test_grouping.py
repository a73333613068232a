"""What becomes one card, judged by comparing all with all."""

from __future__ import annotations

import random
import time

import pytest

from app.facade.grouping import ALIKE, Placed, folded_ids, group_results, passage_of
from indexing import Result, Snippet

LICENCE = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and "
    "associated documentation files, to deal in the software without restriction, including without limits "
    "the rights to use, copy, modify, merge, publish, distribute, sublicense and sell copies of the software."
)

LONG = f"{LICENCE} {' '.join(f'clause{number}' for number in range(40))}"


def result(id_, text, span=None, snippet=""):
    return Result(id_, 1.0, "", text, Snippet(snippet or text), {}, {}, span)


def results(*texts):
    return [result(str(number), text) for number, text in enumerate(texts)]


def told(groups):
    return [[placed.result.id for placed in group] for group in groups]


def runs(text):
    words = text.lower().split()
    return {tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


def likeness(one, other):
    return len(one & other) / len(one | other)


def test_the_same_words_are_one_card_whatever_their_case_and_spaces():
    found = results("The dog eats honey.", "A cat sleeps.", "the DOG  eats\nhoney", "A cat sleeps!")
    groups = group_results(found)
    assert told(groups) == [["0", "2"], ["1", "3"]]
    assert [(group.first.rank, [one.rank for one in group.alike]) for group in groups] == [(1, [3]), (2, [4])]
    assert folded_ids(groups) == {"2", "3"}


@pytest.mark.parametrize(
    "texts",
    [
        ("The dog eats honey.", "The cat eats honey."),
        ("order 4711", "order 4712"),
        ("x", "y"),
        ("!", "?"),
        ("", "x"),
        ("東京は日本の首都です", "大阪は日本の都市です"),
    ],
)
def test_short_texts_that_differ_in_a_word_are_two(texts):
    assert len(group_results(results(*texts))) == 2


def test_long_texts_that_differ_in_a_word_are_one():
    assert told(group_results(results(LONG, LONG.replace("merge", "join")))) == [["0", "1"]]
    assert len(group_results(results(LONG, LONG.replace("software", "work")))) == 2


def test_titles_tell_short_texts_apart():
    short, long = (
        [Result(title, 1.0, title, text, Snippet(text), {}, {}) for title in ("A.close", "B.close")]
        for text in ("Close the file.", LONG)
    )
    assert told(group_results(short)) == [["A.close"], ["B.close"]]
    assert told(group_results(long)) == [["A.close", "B.close"]]


def test_the_passage_that_matched_decides():
    head, other = "Another story altogether. ", "It has nothing to do with that one. "
    found = [
        result("a", head + LICENCE, (len(head), len(head + LICENCE))),
        result("b", LICENCE + other, (0, len(LICENCE))),
        result("c", head + LICENCE, (0, len(head))),
    ]
    assert told(group_results(found)) == [["a", "b"], ["c"]]
    assert passage_of(result("d", "long " * 1000, None, "a piece")) == "a piece"


def test_documents_of_a_file_are_one_card_where_that_is_wanted():
    found = results("one two three", "four five six", "one two three", "seven eight nine", "ten")
    files = ["/a", "/a", "/b", "/b", ""]
    groups = group_results(found, files, first_rank=11)
    assert told(groups) == [["0", "1", "2"], ["3"], ["4"]]
    assert (groups[0].alike, groups[0].of_file) == ([Placed(13, found[2])], [Placed(12, found[1])])
    assert told(group_results(found)) == [["0", "2"], ["1"], ["3"], ["4"]]
    assert told(group_results(results("x y z", "u v w"), ["", ""])) == [["0"], ["1"]]


def test_each_result_is_on_the_card_of_the_first_that_is_like_it():
    rng = random.Random(5)
    for _ in range(60):
        base = [[rng.choice("abcdef") * 2 for _ in range(rng.randrange(1, 60))] for _ in range(4)]
        texts = []
        for _ in range(30):
            words = list(rng.choice(base))
            for _ in range(rng.randrange(3)):
                words[rng.randrange(len(words))] = rng.choice("abcdef") * 3
            texts.append(" ".join(words))
        leaders: list[int] = []
        expected: dict[int, list[str]] = {}
        for at, text in enumerate(texts):
            same = [one for one in leaders if likeness(runs(text), runs(texts[one])) >= ALIKE]
            leaders += [] if same else [at]
            expected.setdefault(same[0] if same else at, []).append(str(at))
        assert told(group_results(results(*texts))) == list(expected.values())


def test_many_results_are_not_all_compared_with_each_other():
    rng = random.Random(6)

    def seconds(count):
        texts = [f"{LICENCE} {' '.join(str(rng.randrange(10**6)) for _ in range(60))}" for _ in range(count)]
        started = time.process_time()
        assert len(group_results(results(*texts))) == count
        return time.process_time() - started

    seconds(50)
    # Eight times as many: proportion would be 8, the square 64.
    assert min(seconds(2000), seconds(2000)) < 30 * max(min(seconds(250), seconds(250)), 0.01)
