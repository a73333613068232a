"""The tuned query side as a model of its own."""

from __future__ import annotations

import numpy as np
import pytest

from app.tuning.exporting import export_query_model, whole_matrix
from indexing import Collection
from indexing.errors import BadInput
from indexing.search.settings import Head, SearchSettings
from stlib import SentenceTransformer
from stlib.runtime import Encoder

TEXTS = ["Dough rises because yeast makes gas.", "Iron rusts when water and air reach it."]


@pytest.fixture
def learned(home):
    """A collection, and the number of a serving with a head of low rank."""
    generator = np.random.default_rng(0)
    head = Head(*(generator.normal(scale=0.2, size=s).astype(np.float32) for s in ((256, 3), (3, 256))))
    with Collection.create("notes", home=home) as notes:
        notes.add({"id": str(n), "text": text} for n, text in enumerate(TEXTS))
        yield notes, notes.create_serving(SearchSettings(head=head), note="head").id


def test_a_tuned_query_side_is_a_router_of_the_library(learned, tmp_path):
    notes, serving = learned
    export_query_model(notes, tmp_path / "model", serving)
    with notes.probe(serving) as probe:
        questions = probe.settings.head(probe.encode(["why does bread rise"]))
        documents = probe.encode(TEXTS)  # the bundled model reads both alike
    for model in (SentenceTransformer(str(tmp_path / "model")), Encoder.load(tmp_path / "model")):
        assert model.encode_query(["why does bread rise"]) == pytest.approx(questions, abs=1e-5)
        assert model.encode_document(TEXTS) == pytest.approx(documents, abs=1e-5)


def test_what_cannot_be_exported_is_said(learned, tmp_path):
    notes, serving = learned
    with pytest.raises(BadInput, match="searches with its model as it is"):
        export_query_model(notes, tmp_path / "model")
    with pytest.raises(BadInput, match="exists: give a new folder"):
        export_query_model(notes, tmp_path, serving)


def test_a_head_of_low_rank_is_one_matrix():
    head = Head(np.full((2, 1), 0.5, np.float32), np.full((1, 2), 2.0, np.float32))
    assert whole_matrix(head).tolist() == [[2.0, 1.0], [1.0, 2.0]]
