"""Writers of one load, of which each decides in its transaction what there is to write."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import exc, text

from indexing import Collection
from indexing.bulk.bringing import bring_piece, embed_piece
from indexing.bulk.loads import Load, abandon, begin, finish, forget_plan, unfinished
from indexing.bulk.pieces import Done, EmbeddedPiece, FileDone, Piece
from indexing.bulk.report import AGAIN, STALE, STORED, THERE, PieceReport, ToEmbed
from indexing.bulk.writer import Writer
from indexing.catalog.database import reading, writing
from indexing.catalog.sources import FileState, add_files, files_of, keep_source
from indexing.documents import Document
from indexing.errors import BadInput, LoadTaken
from indexing.writing.add import Adding
from tests.unit.bulk.given import Given, documents, facts


@pytest.fixture
def db(request):
    """None for a file of its own."""
    on_server = getattr(request, "param", "sqlite") == "postgres"
    return request.getfixturevalue("postgres_url") if on_server else None


@pytest.fixture
def collection(home, db):
    with Collection.create("c", home=home, db=db) as made:
        yield made


class Loading:
    """A load of a collection that pieces are stored for by hand."""

    def __init__(self, collection, source, size=6):
        self.session = collection._session
        self.source = source
        self.adding = Adding(self.session, collection._views, collection._encoders)
        self.maker = self.adding.maker_of(self.session.live())
        self.load = begin(self.session, source, size)
        self.writer = Writer(self.session, self.load)
        self.pieces = [piece for shard in source.plan(size) for piece in source.pieces_of(shard)]

    def bring(self, piece, writer=None):
        return bring_piece(writer or self.writer, piece, self.load.generation, self.maker)

    def end(self):
        report = finish(self.session, self.load, self.adding)
        forget_plan(self.session, self.load)
        return report


@pytest.mark.parametrize("db", ["sqlite", "postgres"], indirect=True)
def test_writers_at_once_store_each_piece_once(collection, home, db, tmp_path):
    loading = Loading(collection, Given(documents(60), per_shard=12), size=3)
    outcomes = [[] for _ in range(3)]

    def store_all(at):
        with Collection.open("c", home=home, db=db) as mine:
            writer = Writer(mine._session, Load.from_row(loading.load.to_row()))
            pieces = loading.pieces[at * 5 :] + loading.pieces[: at * 5]
            outcomes[at] = [(p.shard, p.number, loading.bring(p, writer).outcome) for p in pieces]

    threads = [threading.Thread(target=store_all, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = sorted((s, n) for one in outcomes for s, n, outcome in one if outcome == STORED)
    assert stored == [(piece.shard, piece.number) for piece in loading.pieces]
    assert [len(one) for one in outcomes] == [20, 20, 20]
    report = loading.end()
    assert (report.added.added, report.added.duplicates, report.finished) == (60, 0, True)
    with Collection.create("c", home=tmp_path / "plain") as plain:
        plain.add(documents(60))
        assert facts(collection) == facts(plain)
    with reading(collection._session.database) as connection:
        seqs = connection.scalars(text("SELECT seq FROM document ORDER BY key")).all()
    assert sorted(seqs) == list(range(1, 61)) and seqs == sorted(seqs)  # keys and seqs rise together
    assert collection.verify().clean


def test_what_another_piece_changed_meanwhile_is_looked_at_again(collection, tmp_path):
    """`d0` is as it was when it is asked for, and another one when it is stored."""
    collection.add([{"id": "d0", "text": "one"}])
    given = [Document("d0", "one"), Document("d1", "two"), Document("d0", "three"), Document("d1", "two")]
    loading = Loading(collection, Given(given, per_shard=2))
    first, second = loading.pieces
    wanted = loading.writer.changed(first)
    assert wanted == ToEmbed(loading.load.generation, (1,))
    embedded = embed_piece(first, wanted, loading.maker)
    assert loading.bring(second).counts["updated"] == 1
    assert loading.writer.store(first, embedded) == PieceReport(AGAIN)
    report = loading.bring(first)
    # Both ids came in the other piece, and `d1` is as it is there.
    assert report.outcome == STORED
    assert (report.counts["updated"], report.counts["unchanged"], report.counts["duplicates"]) == (1, 1, 2)
    loading.end()
    assert collection.get(["d0"])["d0"].text == "one"
    assert collection.verify().clean


def test_of_what_was_embedded_only_what_is_still_new_is_stored(collection, tmp_path):
    given = [*documents(5), documents(5)[1], documents(5)[3]]
    loading = Loading(collection, Given(given, per_shard=5))
    first, second = loading.pieces
    embedded = embed_piece(first, loading.writer.changed(first), loading.maker)
    assert embedded.places == (0, 1, 2, 3, 4)
    assert loading.bring(second).counts["added"] == 2
    report = loading.writer.store(first, EmbeddedPiece.from_row(embedded.to_row()))
    assert (report.outcome, report.counts["added"], report.counts["unchanged"]) == (STORED, 3, 2)
    assert loading.writer.store(first, embedded) == PieceReport(THERE)
    assert loading.writer.changed(first) == ToEmbed(loading.load.generation, stored=True)
    loading.end()
    with Collection.create("c", home=tmp_path / "plain") as plain:
        plain.add(documents(5))
        assert facts(collection) == facts(plain)


def test_codes_of_another_generation_are_not_stored(collection):
    loading = Loading(collection, Given(documents(6)))
    embedded = embed_piece(loading.pieces[0], loading.writer.changed(loading.pieces[0]), loading.maker)
    collection.reindex(precision="float32")
    assert loading.writer.store(loading.pieces[0], embedded) == PieceReport(STALE)
    assert loading.bring(loading.pieces[0]) == PieceReport(STALE)
    assert len(collection) == 0


def test_who_comes_with_an_old_token_is_refused(collection):
    source = Given(documents(12), per_shard=6)
    old = Loading(collection, source)
    old.bring(old.pieces[0])
    Loading(collection, source)
    for call in (
        lambda: old.bring(old.pieces[1]),
        lambda: old.writer.store(old.pieces[1], EmbeddedPiece(1)),
        lambda: old.writer.shard(1),
        lambda: old.writer.note_bad(1, "torn"),
        old.end,
    ):
        with pytest.raises(LoadTaken, match="collection 'c' was started again by another process"):
            call()
    assert len(collection) == 6
    new = Loading(collection, source)
    abandon(collection._session, unfinished(collection._session)[0])
    with pytest.raises(LoadTaken):
        new.bring(new.pieces[1])


def test_who_writes_otherwise_keeps_writers_of_loads_out(collection):
    for change in (
        lambda: collection.add([{"id": "x", "text": "y"}]),
        lambda: collection.delete(["x"]),
        lambda: collection.update_metadata({"x": {}}),
        collection.sync,
    ):
        loading = Loading(collection, Given(documents(3)))
        change()
        with pytest.raises(LoadTaken):
            loading.bring(loading.pieces[0])


def test_the_database_itself_keeps_a_piece_from_being_there_twice(collection):
    loading = Loading(collection, Given(documents(18)))
    loading.bring(loading.pieces[1])
    again = text(
        "INSERT INTO load_piece (shard_id, number, before, digest)"
        " SELECT shard_id, number, before, digest FROM load_piece"
    )
    database = collection._session.database
    with pytest.raises(exc.IntegrityError), database.connect() as connection, connection.begin():
        connection.execute(again)
    with writing(database) as connection:
        assert connection.execute(text("SELECT count(*) FROM load_piece")).scalar_one() == 1
    loading.bring(loading.pieces[0])  # now nothing is missing before it: the shard counts both
    with reading(database) as connection:
        assert connection.execute(text("SELECT count(*) FROM load_piece")).scalar_one() == 0
        assert connection.execute(text("SELECT stored, pieces FROM load_shard")).all() == [(2, None)]


def test_a_piece_behind_the_end_of_its_shard_is_refused(collection):
    loading = Loading(collection, Given(documents(6)))
    loading.bring(loading.pieces[0])
    with pytest.raises(BadInput, match=r"shard 0 of the load has 1 pieces, and number 1 came.*--restart"):
        loading.bring(Piece(0, 1, tuple(documents(8)[6:])))
    assert len(collection) == 6


def shards(collection, columns):
    with reading(collection._session.database) as connection:
        return connection.execute(text(f"SELECT {columns} FROM load_shard ORDER BY number")).all()


def test_a_bad_shard_stays_bad_while_pieces_of_it_are_stored(collection):
    """One worker finds out that it cannot be read, others have pieces of it still."""
    loading = Loading(collection, Given(documents(24), per_shard=12), size=3)
    loading.bring(loading.pieces[0])
    loading.writer.note_bad(0, "torn")
    loading.bring(loading.pieces[1])
    loading.bring(loading.pieces[3])
    assert shards(collection, "state, reason, stored") == [("bad", "torn", 2), ("waiting", None, 0)]
    report = finish(loading.session, loading.load, loading.adding)
    assert ([(one.number, one.reason) for one in report.bad], report.finished) == ([(0, "torn")], False)
    loading.bring(loading.pieces[2])  # and it was read to its end after all
    assert shards(collection, "state, reason, stored") == [("done", None, 4), ("waiting", None, 0)]
    loading.writer.note_bad(0, "late")  # by who was at it at the same time
    assert shards(collection, "state, reason") == [("done", None), ("waiting", None)]


def test_pieces_that_do_not_follow_each_other_are_read_again(collection):
    """Two processes read a shard in two ways: what is stored beyond counts only with what it came after."""
    loading = Loading(collection, Given(documents(24), per_shard=24))
    one, two, three, four = loading.pieces
    loading.bring(replace(one, digest="1"))
    loading.bring(replace(three, before="other", digest="3"))
    loading.bring(replace(four, before="3", digest="4"))
    assert shards(collection, "stored, pieces, digest") == [(1, 4, "1")]
    assert loading.bring(replace(two, before="1", digest="2")).outcome == STORED
    assert shards(collection, "stored, pieces, digest, state") == [(2, None, "2", "waiting")]
    assert loading.writer.shard(0)[1] == Done(2, frozenset(), "2")
    for piece in (replace(three, before="2", digest="3"), replace(four, before="3", digest="4")):
        assert loading.bring(piece).outcome == STORED
    assert shards(collection, "stored, pieces, state") == [(4, 4, "done")]
    assert len(collection) == 24


def test_a_shard_is_begun_anew_only_as_it_was_refused(collection):
    loading = Loading(collection, Given(documents(24), per_shard=24))
    one, two, three, _ = loading.pieces
    loading.bring(replace(one, digest="1"))
    loading.bring(replace(three, before="2", digest="3"))
    refused = loading.writer.shard(0)[1]
    assert refused == Done(1, frozenset([2]), "1")
    loading.bring(replace(two, before="1", digest="2"))
    loading.writer.begin_anew(0, refused)  # another one got on with it
    assert loading.writer.shard(0)[1] == Done(3, frozenset(), "3")
    loading.writer.begin_anew(0, loading.writer.shard(0)[1])
    assert loading.writer.shard(0)[1] == Done()
    assert shards(collection, "state, received, added") == [("waiting", 0, 0)]
    assert [loading.bring(piece).outcome for piece in loading.pieces] == [STORED] * 4
    report = loading.end()
    counted = report.added
    assert (counted.added, counted.unchanged, counted.duplicates, report.finished) == (6, 18, 0, True)


def test_a_file_of_which_all_was_erased_leaves_no_row(collection):
    session = collection._session
    with writing(session.database) as connection:
        source_id, _ = keep_source(connection, session.id, "/docs", "folder", {})
        rows = add_files(connection, source_id, dict.fromkeys(("a", "b", "c"), FileState(1, 2, 3, 4)))
    collection.add(documents(4))
    collection.erase(["d0001", "d0002"])
    of = {"d0000": "a", "d0001": "a", "d0002": "b", "d0003": "c"}
    given = [Document(d.id, d.text, d.title, d.metadata, file_id=rows[of[d.id]]) for d in documents(4)]
    source = Given(given, per_shard=2)
    read = FileState(1, 2, 3, 4, b"digest", 5, "text")
    loading = Loading(collection, source, size=1)
    for piece, names in zip(loading.pieces, ("", "a", "b", "c"), strict=True):
        files = tuple(FileDone(rows[name], name, read) for name in names)
        loading.bring(Piece(piece.shard, piece.number, piece.documents, (), files, piece.last))
    with reading(session.database) as connection:
        assert {name: row.state for name, row in files_of(connection, source_id).items()} == {
            "a": read,
            "c": read,
        }
    report = loading.end()
    assert report.added.denied == 2 and report.added.denied_files == {rows["a"]: 1, rows["b"]: 1}


def test_others_search_while_pieces_are_stored(collection, home):
    """Whoever reads sees the log in its order, as far as it is committed."""
    loading = Loading(collection, Given(documents(60)))
    seen = []
    with Collection.open("c", home=home) as other:
        for count, piece in enumerate(loading.pieces, 1):
            loading.bring(piece)
            found = other.search("whales", k=100, mode="semantic")
            seen.append(
                len(found.results) == len(other) == sum(len(p.documents) for p in loading.pieces[:count])
            )
    assert all(seen) and len(seen) == 12
