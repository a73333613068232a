"""What the pages of improvement ask for."""

from __future__ import annotations

import pytest

from app.desk import improving
from app.desk.local import LocalDesk
from app.facade.caller import Caller
from app.settings import Location
from indexing import Collection
from indexing.errors import AnotherIsLive


def test_of_two_who_go_back_at_once_one_does(tmp_path):
    with Collection.create("notes", home=tmp_path) as notes:
        notes.add([{"id": "a", "text": "Whales breathe air."}])
        first = notes.servings()[0].id
        notes.reindex(precision="uint8")
        second = notes.reindex(precision="binary").serving.id
        between = notes.servings()[1].id
    ann, bob = (LocalDesk(Caller(name, "page"), Location(tmp_path)) for name in ("ann", "bob"))
    assert ann.ask(improving.roll_back, "notes", second) == between
    with pytest.raises(AnotherIsLive, match=rf"serving {between}\b"):
        bob.ask(improving.roll_back, "notes", second)
    with Collection.open("notes", home=tmp_path) as notes:
        assert [one.id for one in notes.servings() if one.live] == [between]
    assert bob.ask(improving.roll_back, "notes", between) == first
