"""From clicks to promotion: chance is not promoted, and who poisons a question does not harm guarded ones.

The collection, the levers, the gate and its ledger are the real ones; only people are simulated.
"""

from __future__ import annotations

import numpy as np
import pytest

from app.feedback.judged import JudgedSet, Question
from app.feedback.judged.split import draw_side
from app.feedback.questions import question_hash
from app.settings import Location
from app.tuning.gate.guard import check_guard, guard_of
from app.tuning.gate.run import run_gate
from app.tuning.learn import learn, make_candidate, refit_of
from indexing import Collection

WORDS = "whale iron bread music law bridge honey rocket garden winter river stone candle market forest letter"
QUESTIONS = 30
CURVE = np.arange(1, 11) ** -0.5
ATTRACTION = 0.3


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """120 notes, each about four of the words."""
    rng = np.random.default_rng(0)
    words = WORDS.split()
    with Collection.create("notes", home=tmp_path_factory.mktemp("votes")) as collection:
        collection.add(
            {"id": f"n{at}", "text": f"note {at} about " + " and ".join(rng.choice(words, 4, replace=False))}
            for at in range(120)
        )
        yield collection


def ask(collection, rng, count=QUESTIONS):
    """Question id → text, and id → what is found: questions of three of the words."""
    texts = {}
    while len(texts) < count:
        text = " ".join(rng.choice(WORDS.split(), 3, replace=False))
        texts[question_hash(text)] = text
    return texts, collection.rankings(texts)


def judge(texts, grades):
    questions = [Question(id_, texts[id_], draw_side(id_), False, grades[id_]) for id_ in sorted(texts)]
    return JudgedSet(tuple(one for one in questions if one.answered))


def tune(collection, location, judged, folder):
    """The verdict on what `auto` learns, None where that is nothing, and the candidate."""
    questions = [one for one in judged.questions if one.answered]
    with collection.probe() as probe:
        learned = learn(probe, questions, "auto")
        if not learned.fitted:
            return None, None
        known = {one.id for one in collection.servings()}
        candidate = make_candidate(
            collection,
            learned,
            judged.fingerprint,
            made_from=probe.serving_id,
            known=known,
            folder=folder,
        )
        report = run_gate(location, collection, candidate, judged, refit=refit_of(learned, probe))
    return report.verdict, candidate


def test_random_clicks_are_not_promoted(request, notes, tmp_path, simulate_clicks):
    """Each draw has other questions and clicks, and a ledger of its own. Clicks are taken for words here: as
    clicks they would grade nothing below 5,000 sessions, and hardly anything above.
    """
    draws = request.config.getoption("--draws")
    promoted = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        texts, lists = ask(notes, rng)
        grades = {}
        for id_, found in lists.items():
            shown = np.arange(len(found))[None]
            clicks = simulate_clicks(rng, shown, np.full(len(found), ATTRACTION), CURVE)
            grades[id_] = dict(zip(found, clicks[0].astype(int).tolist(), strict=True))
        judged = judge(texts, grades)
        verdict, _ = tune(notes, Location(tmp_path / str(seed)), judged, tmp_path / "models")
        promoted += verdict == "passed"
    # Of 400 at most 8 %; of a few draws at .05 each more than two are as unlikely as one in a hundred.
    assert promoted <= max(2, 0.08 * draws)


def test_poisoning_one_question_does_not_lower_the_guarded_ones(notes, tmp_path):
    """What answers is what words find best, which can be learned. For one question somebody calls that
    wrong, and the last that is shown the best.
    """
    texts, lists = ask(notes, np.random.default_rng(3), 120)  # levers doubt what fewer than 100 say
    best = {id_: found[0] for id_, found in notes.rankings(texts, mode="keyword").items()}
    grades = {id_: dict.fromkeys(found, 0) | {best[id_]: 1} for id_, found in lists.items()}
    guarded, learned_from = sorted(texts)[:10], sorted(texts)[10:]
    guard = guard_of(
        [Question(id_, texts[id_], "train", False, grades[id_]) for id_ in guarded], "feedback set aside"
    )
    poisoned = learned_from[0]
    grades[poisoned] = {doc: 3 * (at >= 7) for at, doc in enumerate(lists[poisoned])}
    judged = judge({id_: texts[id_] for id_ in learned_from}, grades)
    _, candidate = tune(notes, Location(tmp_path), judged, tmp_path / "models")
    assert candidate is not None
    live = next(one.id for one in notes.servings() if one.live)
    change = check_guard(notes, guard, live, candidate)
    assert change.after >= change.before, change
