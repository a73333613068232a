"""Codes of weighted terms that are missing, or not what was stored."""

from __future__ import annotations

import pytest

from indexing import Collection
from indexing.catalog.database import reading, writing
from indexing.catalog.schema import SPARSE_CODES
from tests.toy_terms import ToyTerms


@pytest.fixture
def collection(home):
    with Collection.create("c", home=home, sparse=ToyTerms()) as made:
        made.add({"id": str(number), "text": f"note {number} about whales"} for number in range(20))
        made.refresh()
        yield made


def set_code(collection, change):
    """Alters the first code; returns what it was."""
    with reading(collection._session.database) as connection:
        key, code = connection.execute(SPARSE_CODES.select().order_by(SPARSE_CODES.c.key)).first()
    with writing(collection._session.database) as connection:
        connection.execute(SPARSE_CODES.update().where(SPARSE_CODES.c.key == key).values(code=change(code)))
    return key, code


def test_altered_codes_are_noticed(collection):
    assert collection.verify().clean
    for change, said in (
        (lambda code: code[:-1] + bytes([code[-1] ^ 1]), "weighted terms differ from the view made of them"),
        (lambda code: code[:-1], "codes of weighted terms are none"),
    ):
        key, before = set_code(collection, change)
        (error,) = collection.verify().errors
        assert error.startswith("catalog: ") and said in error, said
        set_code(collection, lambda _, before=before: before)
    assert collection.verify().clean
    collection.delete(["3"])  # its row is still in the view
    assert collection.verify().clean
    with writing(collection._session.database) as connection:
        connection.execute(SPARSE_CODES.delete().where(SPARSE_CODES.c.key == key))
    assert "catalog: 1 chunks without weighted terms" in collection.verify().errors


def test_info_names_the_model_and_the_bytes(collection):
    with reading(collection._session.database) as connection:
        size = sum(len(code) for _, code in connection.execute(SPARSE_CODES.select()))
    assert collection.info().beside == {"sparse": {"model": "object of toy-terms", "size": size}}
