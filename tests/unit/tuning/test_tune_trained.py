"""The levers that train, as `tune` runs them: the candidate, the gate, and going live."""

from __future__ import annotations

import pytest

from app.cli.tune import LEVERS as OFFERED
from app.facade.caller import Caller
from app.facade.feedback import record
from app.facade.tuning import LEVERS, estimate_seconds, tune
from app.settings import Location
from app.tuning.report import EMBED, LEARN
from app.tuning.trained import bi_encoder, interaction
from app.tuning.trained.candidates import models_folder
from indexing import Collection
from indexing.errors import BadInput

pytestmark = pytest.mark.slow

THINGS = ("kettle", "ladder", "violin", "candle", "anchor", "basket", "helmet", "mirror", "pillow", "wallet")
CALLER = Caller("ann", "python")


@pytest.fixture
def location(tmp_path):
    place = Location(tmp_path)
    with Collection.create("things", home=tmp_path) as made:
        made.add({"id": f"{t}-repair", "text": f"How to repair a {t} that is broken."} for t in THINGS)
        made.add(
            {"id": f"{t}-price", "text": f"The price of a {t}, and where a {t} is sold: {t}."} for t in THINGS
        )
        for thing in THINGS:
            for text in (f"the {thing}", f"a {thing} please", f"my own {thing} here"):
                record(CALLER, place, made, text, f"{thing}-repair", "grade", grade=2)
                record(CALLER, place, made, text, f"{thing}-price", "grade", grade=0)
    return place


def servings(location):
    with Collection.open("things", home=location.home) as collection:
        return collection.servings()


def test_a_reranker_is_trained_tested_and_goes_live(location, monkeypatch):
    monkeypatch.setattr(interaction, "LEARNING_RATE", 0.02)
    steps = []
    done = tune(CALLER, location, "things", "reranker", promote="if-better", progress=steps.append)
    assert done.gate is not None
    assert done.gate.cross_fitted
    assert (done.gate.verdict, done.promoted) == ("passed", True)
    live = next(one for one in servings(location) if one.live)
    assert live.id == done.candidate
    assert live.reranker.startswith(str(models_folder(location, "things")))
    (lever,) = done.levers
    assert lever.gain == max(s.gain for s in steps if s.stage == LEARN and not s.what.startswith("loss"))
    with Collection.open("things", home=location.home) as collection:
        assert [collection.search(f"the {thing}").results[0].id for thing in THINGS] == [
            f"{thing}-repair" for thing in THINGS
        ]


def test_the_full_model_is_tested_on_questions_it_has_not_seen(location, monkeypatch):
    kind = bi_encoder._Kind(epochs=3, learning_rate=0.03, folds=2)
    monkeypatch.setattr(bi_encoder, "STATIC", kind)
    steps = []
    done = tune(CALLER, location, "things", "full", progress=steps.append)
    assert done.gate is not None
    assert not done.gate.cross_fitted
    assert not done.promoted
    assert EMBED in {step.stage for step in steps}
    before, candidate = servings(location)
    assert (before.live, candidate.id, candidate.model) == (
        True,
        done.candidate,
        str(next(path for path in models_folder(location, "things").iterdir() if path.is_dir())),
    )
    assert candidate.generation != before.generation
    assert candidate.gate["verdict"] == done.gate.verdict


def test_a_model_that_is_not_there_is_an_error_and_changes_nothing(location):
    with pytest.raises(BadInput, match="cannot be trained"):
        tune(CALLER, location, "things", "full", model=str(location.home / "nowhere"))
    assert len(servings(location)) == 1


def test_every_lever_is_offered_and_estimated(location):
    assert set(OFFERED) == set(LEVERS)
    seconds = estimate_seconds(CALLER, location, "things")
    assert list(seconds) == list(LEVERS)
    assert seconds["full"] > seconds["ranking"]
