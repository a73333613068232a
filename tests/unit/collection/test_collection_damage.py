"""A catalog whose rows were altered: the damage is found and named, never by somebody else's exception."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress

import pytest

from indexing import Collection
from indexing.errors import IndexingError, StorageError

from .conftest import ANIMALS

ALTERED = {
    "an id": "UPDATE document SET id = 'bees' WHERE id = 'bee'",
    "a text": "UPDATE document SET text = 'Bees make money.' WHERE id = 'bee'",
    "a title": "UPDATE document SET title = 'B' WHERE id = 'bee'",
    "metadata": "UPDATE document SET metadata = '{\"legs\":7}' WHERE id = 'bee'",
    "metadata that is no JSON": "UPDATE document SET metadata = '{legs' WHERE id = 'bee'",
    "metadata that is a list": "UPDATE document SET metadata = '[1]' WHERE id = 'bee'",
    "a text that is a number": "UPDATE document SET text = 7 WHERE id = 'bee'",
    "a text that is bytes": "UPDATE document SET text = X'FF00' WHERE id = 'bee'",
    "a seq that is a text": "UPDATE document SET seq = 'two' WHERE id = 'bee'",
    "a seq beyond the log": "UPDATE document SET seq = 99 WHERE id = 'bee'",
    "a seq twice": "UPDATE document SET seq = 1",
    "a hash": "UPDATE document SET hash = X'00' WHERE id = 'bee'",
    "a metadata hash": "UPDATE document SET metadata_hash = X'00' WHERE id = 'bee'",
    "a span": 'UPDATE chunk SET "end" = 9999 WHERE key = 2',
    "a span that is a text": "UPDATE chunk SET start = 'x' WHERE key = 2",
    "a chunk of another document": "UPDATE chunk SET document_key = 99 WHERE key = 2",
    "a chunk": "DELETE FROM chunk WHERE key = 2",
    "a chunk beyond": "UPDATE chunk SET change = 99 WHERE key = 2",
    "a code": "DELETE FROM code WHERE key = 2",
    "a short code": "UPDATE code SET code = X'00' WHERE key = 2",
    "a code that is a text": "UPDATE code SET code = 'abc' WHERE key = 2",
    "a document": "DELETE FROM document WHERE id = 'bee'",
    "a codec": "UPDATE generation SET codec = '{}'",
    "a codec that is no JSON": "UPDATE generation SET codec = 'x'",
    "a codec of another dimension": "UPDATE generation SET dimension = 3",
    "chunking that is no JSON": "UPDATE generation SET chunking = '{'",
    "chunking that is a number": "UPDATE generation SET chunking = '7'",
    "a precision": "UPDATE generation SET precision = 'int7'",
    "an engine": "UPDATE serving SET engine = 'steam'",
    "a ranking that is no JSON": "UPDATE serving SET ranking = '{'",
    "a ranking that is a list": "UPDATE serving SET ranking = '[]'",
    "a ranking that is null": "UPDATE serving SET ranking = 'null'",
    "a reranker that is null": "UPDATE serving SET reranker = 'null'",
    "chunking that is null": "UPDATE generation SET chunking = 'null'",
    "a codec that is null": "UPDATE generation SET codec = 'null'",
    "metadata that is null": "UPDATE document SET metadata = 'null' WHERE id = 'bee'",
    "a reranker that is a number": "UPDATE serving SET reranker = '7'",
    "the generation": "DELETE FROM generation",
    "the serving": "DELETE FROM serving",
    "the live serving": "UPDATE collection SET live_serving = 77",
    "no live serving": "UPDATE collection SET live_serving = NULL",
    "the log's end": "UPDATE collection SET last_seq = 'four'",
    "the log's end before its rows": "UPDATE collection SET last_seq = 1",
    "the counter": "DELETE FROM counter",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A home whose collection nobody altered."""
    home = tmp_path_factory.mktemp("sound")
    with Collection.create("animals", home=home) as collection:
        collection.add(ANIMALS)
        collection.refresh()
    return home


@pytest.fixture
def alter(sound, home):
    def altered(statement):
        shutil.copytree(sound, home)
        with closing(sqlite3.connect(home / "collections/animals/catalog.sqlite")) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(statement)
            connection.commit()

    return altered


@pytest.mark.parametrize("what", ALTERED)
def test_verify_names_what_was_altered(alter, home, what):
    alter(ALTERED[what])
    said = errors_of_verify(home)
    assert said, what
    assert all("\n" not in error and error.startswith("catalog: ") for error in said)


def errors_of_verify(home):
    """What verify reports, or what already opening says."""
    try:
        with Collection.open("animals", home=home) as collection:
            return collection.verify().errors
    except StorageError as error:
        return [f"catalog: {error}"] if "damaged" in str(error) else []


@pytest.mark.parametrize("what", ALTERED)
def test_nothing_else_fails_by_a_foreign_exception(alter, home, what):
    alter(ALTERED[what])
    uses = (
        lambda c: c.search("honey and flowers"),
        lambda c: c.search("honey", mode="keyword", filter="legs >= 4"),
        lambda c: c.info(),
        lambda c: c.servings(),
        lambda c: list(c),
        lambda c: c.facets(),
        lambda c: c.add([{"id": "owl", "text": "Owls hunt at night."}]),
        lambda c: c.delete(["dog"]),
        lambda c: c.reindex(precision="binary"),
        lambda c: c.compact(),
    )
    for use in uses:
        with suppress(IndexingError), Collection.open("animals", home=home) as collection:
            use(collection)
