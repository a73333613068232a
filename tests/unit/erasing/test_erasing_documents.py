"""An erased document is gone from rows, free pages and views, and stays out."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text

from indexing import Collection
from indexing.catalog.database import reading
from indexing.errors import BadInput
from indexing.storage.removed import moment_of
from tests.unit.erasing.conftest import MARKER, SECRET, bytes_below


def test_nothing_of_it_is_left_in_any_file(notes, home, ids):
    notes.refresh()
    assert ids(notes.search(MARKER))[0] == "secret"
    assert MARKER.encode() in bytes_below(home)
    kept = {one.id: one.text for one in notes.documents()}
    moment = moment_of(home)
    receipt = notes.erase(["secret"])
    assert receipt.done and receipt.pending == ()
    assert (receipt.documents, receipt.found, receipt.same_texts) == (1, 1, 0)
    assert receipt.erased == {"documents": 1, "passages": 1}
    assert MARKER.encode() not in bytes_below(home) and b"secret" not in bytes_below(home)
    views = [path for path in (home / "collections/notes/views").rglob("*") if path.is_file()]
    assert views and all(path.stat().st_mtime_ns >= moment for path in views)
    assert "secret" not in ids(notes.search(MARKER, 50))
    del kept["secret"]
    assert {one.id: one.text for one in notes.documents()} == kept
    assert notes.verify().clean and notes.check_erased().clean


def test_open_views_hold_no_passage_of_it(notes):
    notes.search("cellars")
    [key] = _keys(notes, "secret")
    notes.erase(["secret"])
    live = notes._session.live()
    with reading(notes._session.database) as connection:
        assert key not in notes._views.vectors(live).reader(connection).live_keys
        left = connection.execute(text("SELECT count(*) FROM code WHERE key = :key"), {"key": int(key)})
        assert left.scalar_one() == 0


def _keys(collection: Collection, id_: str) -> np.ndarray:
    with reading(collection._session.database) as connection:
        statement = text(
            "SELECT c.key FROM chunk c JOIN document d ON d.key = c.document_key WHERE d.id = :id"
        )
        return np.asarray(connection.execute(statement, {"id": id_}).scalars().all())


def test_it_cannot_come_back_by_id_or_by_text(notes):
    notes.erase(["secret"])
    other = {"id": "copy", "text": f"  {SECRET}\n"}
    for document in ({"id": "secret", "text": "Something else."}, other):
        with pytest.raises(BadInput, match=r"erased from collection 'notes' \(erasure 1\) and stays out"):
            notes.add([{"id": "new", "text": "New words."}, document])
    assert "new" in notes
    report = notes.add([other, {"id": "newer", "text": "Newer."}], on_error="skip")
    assert (report.added, report.denied, report.skipped) == (1, 1, 0)
    assert report.notes == [
        "1 document was erased from 'notes' before and stayed out: `stlib erase notes --allow-again ID` lets"
        " one in again"
    ]
    assert "copy" not in notes and "secret" not in notes


def test_it_comes_back_when_that_is_wanted(notes):
    notes.erase(["secret", "d1"])
    assert notes.allow_again(["secret", "never"]) == 1
    assert notes.add([{"id": "elsewhere", "text": SECRET}, {"id": "secret", "text": "Anew."}]).added == 2
    with pytest.raises(BadInput, match="stays out"):
        notes.add([{"id": "d1", "text": "Anew."}])
    assert notes.allow_again(erasure=1) == 1
    assert notes.add([{"id": "d1", "text": "Anew."}]).added == 1
    with pytest.raises(BadInput, match="no erasure 7; there are: 1"):
        notes.allow_again(erasure=7)
    with pytest.raises(BadInput, match="nothing is named"):
        notes.allow_again()


def test_a_short_text_is_denied_under_its_id_alone(notes):
    notes.add([{"id": "answer 1", "text": "No."}])
    notes.erase(["answer 1"])
    assert notes.add([{"id": "answer 2", "text": "No."}]).added == 1


def test_a_document_of_the_same_text_stays_and_is_counted(notes):
    notes.add([{"id": "twin", "text": SECRET}])
    assert notes.erase(["secret"]).same_texts == 1
    assert notes.get(["twin"])["twin"].text == SECRET
    assert notes.add([{"id": "twin", "text": SECRET, "metadata": {"a": 1}}]).updated == 1
    report = notes.check_erased()
    assert report.clean and report.same_texts == 1


def test_what_was_deleted_before_is_erased_from_what_is_left(notes, home):
    notes.refresh()
    notes.delete(["secret"])
    notes.refresh()
    assert b"secret" in bytes_below(home)
    receipt = notes.erase(["secret", "never there"])
    assert receipt.done and (receipt.documents, receipt.found) == (2, 0)
    assert b"secret" not in bytes_below(home) and MARKER.encode() not in bytes_below(home)
    assert len(notes) == 40 and notes.verify().clean


def test_hundreds_at_once(notes, ids):
    receipt = notes.erase([f"d{i}" for i in range(39)])
    assert receipt.done and receipt.erased["documents"] == 39
    assert sorted(one.id for one in notes.documents()) == ["d39", "secret"]
    assert sorted(ids(notes.search("gardens cellars number"))) == ["d39", "secret"]


@pytest.mark.parametrize("wrong", [[], ["a", 7.5]])
def test_bad_ids_change_nothing(notes, wrong):
    with pytest.raises(BadInput):
        notes.erase(wrong)
    assert len(notes) == 41 and notes.erasures() == []


def test_receipts_are_kept_and_name_nothing(notes, home):
    notes.erase(["secret"], who="ann")
    notes.erase(["d1"], who="ben")
    with Collection.open("notes", home=home) as again:
        first, second = again.erasures()
    assert (first.number, first.who, second.number, second.who) == (1, "ann", 2, "ben")
    assert first.ended_at and any("backups" in one for one in first.out_of_reach)
    assert any("`stlib erase` reaches it" in one for one in first.out_of_reach)
    assert "secret" not in str(first.to_dict())


def test_dropping_a_collection_forgets_its_erasures(tmp_path):
    db = f"sqlite:///{tmp_path}/c.db"
    with Collection.create("a", db=db) as a, Collection.create("b", db=db) as b:
        a.add([{"id": "x", "text": SECRET}])
        b.add([{"id": "x", "text": SECRET}])
        a.erase(["x"])
        assert "x" in b
        a.drop()
    with Collection.create("a", db=db) as a:
        assert a.add([{"id": "x", "text": SECRET}]).added == 1 and a.erasures() == []
