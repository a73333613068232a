"""Pieces of a bulk load in any order, doubled, by two writers, with crashes: the catalog is the same."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from indexing import Collection
from indexing.bulk import loads, writer
from indexing.bulk.bringing import bring_piece
from indexing.bulk.loads import begin, finish, forget_plan, report_of, shards_to_do
from indexing.bulk.pieces import FileDone
from indexing.bulk.writer import Writer
from indexing.catalog.database import reading, writing
from indexing.catalog.sources import FileState, add_files, files_of, keep_source
from indexing.errors import LoadTaken
from indexing.writing.add import Adding
from tests.unit.bulk.given import Given, documents, facts

POINTS = (None, "piece.before", "piece.inside", "piece.noted", "piece.after")
COUNT, PER_SHARD, SIZE = 22, 8, 3
PLACES = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
READ = FileState(5, 6, 7, 8, b"digest", 9, "text")


def toy(texts):
    """Vectors that differ with the texts, at no cost."""
    return np.array([[len(t) % 7, t.count("a"), hash_of(t), 1.0] for t in texts], dtype=np.float32)


def hash_of(words):
    return sum(ord(letter) * (at % 11 + 1) for at, letter in enumerate(words)) % 97


class CrashError(Exception):
    """In place of a kill: what was not committed is gone."""


class Crashing:
    """`indexing.faults.point` that raises at one name."""

    def __init__(self):
        self.at = None

    def point(self, name):
        if name == self.at:
            raise CrashError(name)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with Collection.create("c", toy, home=tmp_path_factory.mktemp("plain")) as collection:
        collection.add(documents(COUNT))
        return facts(collection)


steps = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from(PLACES), st.sampled_from(POINTS)),
    st.just("start again"),
    st.tuples(st.just("old"), st.sampled_from(PLACES)),
)
homes = itertools.count()


@settings(max_examples=8, deadline=None, derandomize=True)
@given(steps=st.lists(steps, max_size=25), rest=st.permutations(PLACES))
def test_the_catalog_is_that_of_a_plain_run(tmp_path_factory, plain, steps, rest):
    home = tmp_path_factory.mktemp(f"home{next(homes)}")
    crashing = Crashing()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "faults", crashing)
        patch.setattr(loads, "faults", Crashing())
        with (
            Collection.create("c", toy, home=home) as first,
            Collection.open("c", home=home, model=toy) as two,
        ):
            run = Run((first, two), crashing)
            for step in steps:
                run.take(step)
            for place in rest:
                run.store(0, place, None)
            report = finish(first._session, run.load, Adding(first._session, first._views, first._encoders))
            assert report.finished and (report.added.added, report.added.duplicates) == (COUNT, 0)
            forget_plan(first._session, run.load)
            assert facts(first) == plain | {"documents": with_files(plain["documents"])}
            assert first.verify().clean
            with reading(first._session.database) as connection:
                seqs = list(connection.scalars(text("SELECT seq FROM document ORDER BY seq")))
            assert seqs == list(range(1, COUNT + 1))


def with_files(rows):
    """The documents of the first shard were read from a file."""
    return {
        id_: (*row[:6], "a.txt", *row[7:]) if id_ < f"d{PER_SHARD:04}" else row for id_, row in rows.items()
    }


class Run:
    """A load into a collection that two have open, and a record of what is stored of it."""

    def __init__(self, collections, crashing):
        self.collections = collections
        self.crashing = crashing
        self.session = collections[0]._session
        with writing(self.session.database) as connection:
            self.source_id, _ = keep_source(connection, self.session.id, "/docs", "folder", {})
            file_id = add_files(connection, self.source_id, {"a.txt": FileState(5, 6, 7, 8)})["a.txt"]
        of_file = [
            type(one)(one.id, one.text, one.title, one.metadata, file_id=file_id if i < PER_SHARD else None)
            for i, one in enumerate(documents(COUNT))
        ]
        self.source = Given(of_file, PER_SHARD)
        self.source.files = {0: FileDone(file_id, "a.txt", READ)}
        self.plan = list(self.source.plan(SIZE))
        self.stored = set()
        self.old = None
        self.start()

    def start(self):
        self.load = begin(self.session, self.source, SIZE)
        self.writers = [Writer(one._session, self.load) for one in self.collections]

    def take(self, step):
        if step == "start again":
            self.old = self.writers[1]
            self.start()
        elif step[0] == "old":
            if self.old is not None:
                with pytest.raises(LoadTaken):
                    self.bring(self.old, step[1])
        else:
            self.store(*step)

    def bring(self, store, place):
        shard, number = place
        piece = self.source.pieces_of(self.plan[shard])[number]
        live = self.session.live()
        adding = Adding(self.session, self.collections[0]._views, self.collections[0]._encoders)
        return bring_piece(store, piece, live.generation.id, adding.maker_of(live))

    def store(self, who, place, crash):
        self.crashing.at = crash
        try:
            outcome = self.bring(self.writers[who], place).outcome
            assert outcome == ("there" if place in self.stored else "stored")
            self.stored.add(place)
        except CrashError:
            if crash == "piece.after":
                self.stored.add(place)
        finally:
            self.crashing.at = None
        self.check()

    def check(self):
        """What is said to be stored is, and a file is read when all pieces up to its end are."""
        todo = {plan.number: done for plan, done in shards_to_do(self.session, self.load)}
        left = {place for place in PLACES if place[0] in todo and place[1] not in todo[place[0]]}
        assert left == set(PLACES) - self.stored
        with reading(self.session.database) as connection:
            state = files_of(connection, self.source_id)["a.txt"].state
        assert (state == READ) == ({(0, 0), (0, 1), (0, 2)} <= self.stored)
        assert report_of(self.session, self.load).added.received == sum(
            len(self.source.pieces_of(self.plan[shard])[number].documents) for shard, number in self.stored
        )
