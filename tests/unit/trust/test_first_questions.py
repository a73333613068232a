"""The first question in a home whose keyword index is of no use as it lies is answered from all documents."""

from __future__ import annotations

import shutil

import pytest

from indexing import Collection
from indexing.lexical import tantivy_index

DOCUMENTS = 4_500  # more than are read one by one beside a snapshot that another process makes


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    home = tmp_path_factory.mktemp("large")
    with Collection.create("c", home=home) as collection:
        collection.add({"id": str(i), "text": f"note {i}"} for i in range(DOCUMENTS))
        collection.add([{"id": "rare", "text": "a quagga at last"}])
        collection.refresh()
    return home


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
@pytest.mark.usefixtures("another_machine")
def test_in_a_copied_home(large, tmp_path, mode):
    home = tmp_path / "copy"
    shutil.copytree(large, home)
    with Collection.open("c", home=home) as collection:
        found = collection.search("quagga", 3, mode=mode)
        assert (found[0].id, found.keyword_lag) == ("rare", 0)


@pytest.mark.usefixtures("another_machine")
def test_of_an_evaluation_there(large, tmp_path):
    home = tmp_path / "copy"
    shutil.copytree(large, home)
    with Collection.open("c", home=home) as collection:
        report = collection.evaluate({"q": "quagga"}, {"q": {"rare": 1}}, mode="keyword")
        assert report.metrics["MRR@10"] == 1.0


def test_where_the_index_may_only_be_read(large, monkeypatch, caplog):
    """tantivy makes a lock file beside the files that it reads: they are linked into a private folder."""
    monkeypatch.setattr(tantivy_index, "can_write", lambda folder: False)
    monkeypatch.setattr(tantivy_index, "own_folder", lambda folder: large / "links" / folder.name)
    with Collection.open("c", home=large) as collection:
        assert collection.search("quagga", 3, mode="keyword")[0].id == "rare"
    linked = next((large / "links").iterdir())
    assert any(path.is_symlink() and path.name == "meta.json" for path in linked.iterdir())
    assert "set aside" not in caplog.text
