"""Sides of questions stay, whatever is added in whatever order, and no side sees the other."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from app.feedback.judged.model import HELDOUT, TRAIN, JudgedSet, Question
from app.feedback.judged.split import HELDOUT_SHARE, Placed, draw_side, find_leaks, place_questions
from app.feedback.questions import question_hash

SUBJECTS = ["supplier invoices", "travel expenses", "the annual audit", "spare keys", "visitor badges"]
ENDS = ["", "s", " now", " in the archive", " in the archives", " in our archive", " abroad", " at home"]
TEXTS = [f"how long do we keep {subject}{end}" for subject in SUBJECTS for end in ENDS]
TEXTS += [f"who pays for {subject}{end}" for subject in SUBJECTS for end in ENDS]


def place(texts, known=None):
    """Where `texts` are after those of `known`, in this order."""
    known = known or {}
    asked = {question_hash(text): text for text in texts}
    return {**known, **place_questions(known, asked)}


def judged(texts, places):
    return JudgedSet(
        tuple(
            Question(question_hash(text), text, places[question_hash(text)].side, False, {"d": 1})
            for text in texts
        )
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=30, unique=True), st.data())
def test_sides_stay_and_do_not_leak(texts, data):
    cut = data.draw(st.integers(0, len(texts)))
    before = place(texts[:cut])
    after = place(texts, before)
    for id_, placed in before.items():
        assert after[id_].drawn == placed.drawn
        assert after[id_].side == placed.side or (placed.side == HELDOUT and after[id_].out)
    assert find_leaks(judged(texts, after)) == []
    # Words come in another order, and the database's rows too: what is placed is placed.
    shuffled = random.Random(cut).sample(texts, len(texts))
    assert place(shuffled, after) == after
    assert place(texts, after) == after
    # One after the other is as all at once.
    one_by_one: dict[str, Placed] = {}
    for at in range(1, len(texts) + 1):
        one_by_one = place(texts[:at], one_by_one)
    assert {id_: (p.drawn, p.side) for id_, p in one_by_one.items()} == {
        id_: (p.drawn, p.side) for id_, p in place(texts).items()
    }


def test_a_third_is_held_out_whatever_split_the_questions_before():
    """The sample corpus splits by the first byte of the same hash."""
    ids = [question_hash(f"question {number}") for number in range(12_000)]
    for parity in (0, 1):
        mine = [draw_side(id_) for id_ in ids if int(id_[:2], 16) % 2 == parity]
        assert abs(mine.count(HELDOUT) / len(mine) - HELDOUT_SHARE) < 0.02  # more than three times its error


def bridge():
    """Two questions on different sides that are not near, and one that is near both."""
    first, second, both = (
        "aaaa bbbb cccc dddd {}",
        "eeee ffff gggg hhhh {}",
        "aaaa bbbb cccc dddd {} eeee ffff gggg hhhh {}",
    )
    for number in range(100):
        one, other = first.format(number), second.format(number + 1)
        if (draw_side(question_hash(one)), draw_side(question_hash(other))) == (TRAIN, HELDOUT):
            yield one, other, both.format(number, number + 1)


def test_what_links_both_sides_takes_the_held_out_away(monkeypatch):
    monkeypatch.setattr("app.feedback.judged.near.LETTERS_ALIKE", 0.4)
    one, other, both = next(bridge())
    before = place([one, other])
    assert [before[question_hash(text)].side for text in (one, other)] == ["train", "heldout"]
    after = place([one, other, both], before)
    assert [after[question_hash(text)].side for text in (one, other, both)] == ["train", "out", "train"]
    # What is like the one that left does not come back either.
    later = place([one, other, both, f"{other}s"], after)
    assert later[question_hash(f"{other}s")].side == "out"


def test_a_planted_leak_is_found():
    texts = TEXTS[:1] + TEXTS[8:9] + ["an entirely different matter"]
    planted = Question(question_hash("x"), "How long do we keep supplier invoice?", HELDOUT, False, {"d": 1})
    sound = [Question(question_hash(text), text, TRAIN, False, {"d": 1}) for text in texts]
    apart = Question(question_hash("y"), "whom to call at night", HELDOUT, False, {"d": 1})
    (leak,) = find_leaks(JudgedSet((*sound, planted, apart)))
    assert (leak.train, leak.heldout) == (sound[0], planted)
    assert 0.6 <= leak.likeness <= 1
