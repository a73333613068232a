"""Slips of a caller: each is named, and changes nothing."""

from __future__ import annotations

import shutil
from unittest import mock

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import BadInput, FilterError, LockedError, ModelMismatch
from indexing.models.trust import recorded_source
from indexing.views.manager import Views
from stlib.runtime import BUNDLED_MODEL_NAME, Encoder, default_model_path


@pytest.mark.parametrize("ids", [[1.0], [b"bee"], [None], ["bee", True], 7, [["bee"]]])
def test_ids_that_are_no_strings(animals, ids):
    with pytest.raises(BadInput, match="ids"):
        animals.get(ids)
    with pytest.raises(BadInput, match="ids"):
        animals.delete(ids)
    with pytest.raises(BadInput, match="ids"):
        animals.get([1])
    assert len(animals) == 4


@pytest.mark.parametrize("wrong", [7, ["legs = 4"], b"legs = 4", {4: "legs"}, {"legs": {"?": 4}}])
def test_filters_that_are_neither_texts_nor_dicts_of_fields(animals, wrong):
    for use in (
        animals.count,
        lambda filter: list(animals.documents(filter)),
        lambda filter: animals.delete(filter=filter),
        lambda filter: animals.search("honey", filter=filter),
    ):
        with pytest.raises((FilterError, BadInput), match="filter"):
            use(wrong)
    assert len(animals) == 4


@pytest.mark.parametrize(
    "metadata", [{1: {"legs": 2}}, {"bee": {"legs": 2}, None: {}}, [{"legs": 2}], None, {"bee": [1]}]
)
def test_metadata_of_what_has_no_id(animals, metadata):
    with pytest.raises(BadInput):
        animals.update_metadata(metadata)
    assert animals.get("bee")["bee"].metadata["legs"] == 6


def test_updated_metadata_tells_what_exists(animals):
    same = animals.get("bee")["bee"]
    assert animals.update_metadata({"nobody": {}, "bee": same.metadata, "cat": {"legs": 3}}) == ["bee", "cat"]
    assert animals.get("bee")["bee"].seq == same.seq


def test_deleting_inside_an_add_is_told_who_adds(animals):
    with pytest.raises(LockedError, match=r"is being written by process .* this process itself: .*progress="):
        animals.add([{"id": "x", "text": "x"}], progress=lambda report: animals.delete(["bee"]))
    assert "bee" in animals


def test_a_collection_that_cannot_be_held_is_closed(home):
    disposed = []
    with (
        mock.patch.object(Views, "__init__", side_effect=OSError("no")),
        mock.patch("sqlalchemy.engine.Engine.dispose", autospec=True, side_effect=disposed.append),
        pytest.raises(OSError, match="no"),
    ):
        Collection.create("c", home=home)
    assert disposed


# --- models --------------------------------------------------------------------------------------------


@pytest.fixture
def other_model(tmp_path):
    """A folder with a model of another fingerprint, and that."""
    folder = shutil.copytree(default_model_path(), tmp_path / "other")
    settings = folder / "config_sentence_transformers.json"
    settings.write_text('{"prompts": {"query": "question: "}}', "utf-8")
    return folder, Encoder.load(folder).fingerprint


@pytest.mark.usefixtures("another_machine")
def test_another_model_is_not_recorded_before_it_is_refused(animals, other_model):
    folder, fingerprint = other_model
    with pytest.raises(ModelMismatch, match="was made with"):
        animals.relocate_model(folder)
    assert recorded_source(fingerprint) is None


def test_metadata_alone_needs_no_model(home, other_model):
    folder, _ = other_model
    document = {"id": "bee", "text": "bees make honey"}
    with Collection.create("c", folder, home=home) as made:
        made.add([document])
        made.reindex(BUNDLED_MODEL_NAME)
        made.rollback()
    shutil.rmtree(folder)
    with Collection.open("c", home=home) as collection:
        report = collection.add([{**document, "metadata": {"legs": 6}}])
        assert (report.updated, report.chunks, report.notes) == (1, 0, [])
        assert collection.count("legs = 6") == 1
        assert {one.followed_seq for one in collection.generations()} == {2}
        with pytest.raises(BadInput, match="which is gone"):
            collection.add([{"id": "cat", "text": "cats purr"}])


# --- vectors of one's own --------------------------------------------------------------------------------


@pytest.fixture
def own(home):
    with Collection.create("own", dimension=4, precision="float32", home=home) as collection:
        collection.add([{"id": "a", "text": "one"}, {"id": "b", "text": "two"}], vectors=np.eye(4)[:2])
        yield collection


def test_metadata_alone_needs_no_vectors(own):
    report = own.add([{"id": "a", "text": "one", "metadata": {"n": 1}}])
    assert (report.updated, report.chunks) == (1, 0)
    assert [r.id for r in own.search(vector=[1, 0, 0, 0], filter="n = 1")] == ["a"]
    with pytest.raises(BadInput, match="vectors=array"):
        own.add([{"id": "c", "text": "three"}])


def test_going_back_to_finer_vectors_than_there_are(own):
    own.reindex(precision="int8")
    report = own.add([{"id": "c", "text": "three"}], vectors=np.eye(4)[2:3])
    assert "exist in the coarser precision only" in report.notes[0]
    with pytest.raises(BadInput, match=r"generation 1 \(float32\).*cannot be served again"):
        own.rollback()
    assert next(iter(own.search(vector=[0, 0, 1, 0]))).id == "c"


def test_a_model_for_vectors_of_ones_own(own, home):
    with pytest.raises(BadInput, match="was made without a model"):
        own.relocate_model(default_model_path())
    with pytest.raises(BadInput, match="was made without a model"):
        Collection.open("own", home=home, model=default_model_path())
