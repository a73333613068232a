"""What is read of shards is what the plain readers give, here and at addresses."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from fsspec.implementations.memory import MemoryFile

from indexing.bulk.addresses import parse_address
from indexing.bulk.checking import check_unchanged
from indexing.bulk.listing import list_address
from indexing.bulk.named import Named
from indexing.bulk.pieces import Done, Piece, ShardPlan
from indexing.bulk.plan import plan_shards
from indexing.bulk.shards import ShardReader
from indexing.bulk.specs import Entry, Group
from indexing.documents import Document, read_paths
from indexing.documents.file_fields import add_file_fields
from indexing.documents.model import Item, Skipped
from indexing.documents.options import ReadOptions
from indexing.documents.walk import plan_files
from indexing.errors import BadInput, DiskFull
from tests.people_files.plan import short_plan, write_files

PLAIN = ReadOptions()


@pytest.fixture(scope="module")
def reader() -> Iterator[ShardReader]:
    with ShardReader() as reader:
        yield reader


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    store = fsspec.filesystem("memory")
    yield store
    for path in list(store.store):
        store.rm_file(path)


def group_of(folder: Path, options: ReadOptions = PLAIN) -> Group:
    entries = plan_files([folder], None, options).entries
    return Group([one if isinstance(one, Skipped) else Entry(one) for one in entries], options)


def remote_group(address: str, options: ReadOptions = PLAIN) -> Group:
    return list_address(parse_address(address), options).group(options)


def through_json(shards: Iterable[ShardPlan]) -> list[ShardPlan]:
    """As they come back from the catalog."""
    return [ShardPlan(one.number, one.kind, json.loads(json.dumps(one.spec))) for one in shards]


def shards_of(group: Group, most: int = 4 << 20, documents: int = 2000, piece: int = 7) -> list[ShardPlan]:
    return through_json(
        plan_shards([group], piece_documents=piece, shard_bytes=most, shard_documents=documents)
    )


def pieces_of(reader: ShardReader, shards: Iterable[ShardPlan]) -> list[Piece]:
    pieces = []
    for shard in shards:
        read = [Piece.from_row(piece.to_row()) for piece in reader.read(shard)]
        assert [piece.number for piece in read] == list(range(len(read)))
        assert [piece.last for piece in read] == [False] * (len(read) - 1) + [True]
        assert all(piece.shard == shard.number for piece in read)
        pieces += read
    return pieces


def plainly_read(folder: Path, options: ReadOptions = PLAIN) -> list[Item]:
    """The items of the plain readers, with what the files say of them."""
    plan = plan_files([folder], None, options)
    files = {file.name: file for file in plan.files}
    by_id = sorted(files, key=len, reverse=True)

    def named(item: Document):
        name = next((name for name in by_id if files[name].gives_id(item.id)), None)
        return item if name is None else add_file_fields(item, files[name])

    items = read_paths([folder], options=options)
    return [named(item) if isinstance(item, Document) else item for item in items]


def told(items: Iterable[Item], root: str = "", *, dated: bool = True) -> tuple[list, list]:
    """All of documents and of what was skipped, in their order; paths as those below `root`."""
    documents, skipped = [], []
    for one in items:
        if isinstance(one, Skipped):
            skipped.append((one.source.removeprefix(root), one.line, one.reason))
        else:
            metadata = {name: value for name, value in one.metadata.items() if dated or name != "modified"}
            origin = one.origin.removeprefix(root)
            documents.append((one.id, one.text, one.title, metadata, origin, one.marks))
    return documents, skipped


def all_of(pieces: Iterable[Piece]) -> list[Item]:
    return [item for piece in pieces for item in (*piece.documents, *piece.skipped)]


def write_tables(folder: Path) -> None:
    """JSONL, Parquet and CSV with whatever rows may have."""
    lines = [f'{{"text": "wört 漢字 number {n}"}}' + ("\r" if n % 7 == 0 else "") for n in range(500)]
    lines[20:23] = ["", "  ", "broken{"]
    lines[100] = lines[101] = '{"id": "twice", "title": "t", "text": "the same id"}'
    lines[300] = '{"text": "two"} {"text": "on a line"}'
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.jsonl").write_text("\n".join(lines), encoding="utf-8", newline="")
    (folder / "b.ndjson").write_text("[\n" + ",\n".join('{"text": "of an array"}' for _ in range(99)) + "]")
    texts = [None if n % 50 == 0 else f"row {n} of a table" for n in range(900)]
    table = pa.table({"text": texts, "title": ["title"] * 900, "n": range(900)})
    parquet.write_table(table, folder / "c.parquet", row_group_size=170)
    (folder / "d.csv").write_text("text,author\n" + "".join(f"line {n},Jo\n" for n in range(300)))


def copy_to(store: fsspec.AbstractFileSystem, folder: Path, to: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            store.pipe_file(f"{to}/{path.relative_to(folder)}", path.read_bytes())


@pytest.mark.parametrize(
    ("most", "documents", "kinds"),
    [
        (9000, 2000, {"files", "lines", "rows"}),
        (100_000, 60, {"files", "lines", "rows"}),
    ],
)
def test_tables_are_read_the_same_in_any_shards(tmp_path, store, reader, most, documents, kinds):
    folder = tmp_path / "corpus"
    write_tables(folder)
    copy_to(store, folder, "/corpus")
    plain = plainly_read(folder)
    shards = shards_of(group_of(folder), most, documents)
    assert {shard.kind for shard in shards} == kinds
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert told(all_of(pieces_of(reader, shards))) == told(plain)
    shards = shards_of(remote_group("memory://corpus"), most, documents)
    assert {shard.kind for shard in shards} == kinds
    there = told(all_of(pieces_of(reader, shards)), "memory://corpus", dated=False)
    assert there == told(plain, str(folder), dated=False)


def test_files_of_every_format_are_read_the_same_here_and_at_an_address(tmp_path, store, reader):
    folder = tmp_path / "people"
    write_files(short_plan(), folder)
    (folder / "empty.txt").write_text("")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 of no use")
    copy_to(store, folder, "/people")
    options = ReadOptions(archives=True)
    plain = plainly_read(folder, options)
    shards = shards_of(group_of(folder, options), 50_000)
    assert len(shards) > 2
    assert told(all_of(pieces_of(reader, shards))) == told(plain)
    shards = shards_of(remote_group("memory://people", options), 50_000)
    there = told(all_of(pieces_of(reader, shards)), "memory://people", dated=False)
    assert there == told(plain, str(folder), dated=False)


def test_pieces_hold_so_many_documents_and_those_that_are_stored_are_left_out(tmp_path, reader):
    lines = [f'{{"id": {n}, "text": "number {n}"}}' for n in range(23)]
    lines[9] = "broken"
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (shard,) = shards_of(group_of(tmp_path), piece=5)
    pieces = list(reader.read(shard))
    assert [len(piece.documents) for piece in pieces] == [5, 5, 5, 5, 2]
    assert [one.line for one in pieces[1].skipped] == [10]
    left = list(reader.read(shard, Done(2, frozenset([3]))))
    assert left == [pieces[2], pieces[4]]
    assert list(reader.read(shard, Done(4))) == [pieces[4]]


def test_a_shard_without_documents_ends_too(tmp_path, reader):
    (tmp_path / "empty.txt").write_text("")
    (piece,) = pieces_of(reader, shards_of(group_of(tmp_path)))
    assert (piece.documents, piece.last) == ((), True)
    assert [one.reason for one in piece.skipped] == ["no text in it"]


def test_what_a_reader_notes_comes_with_its_piece(tmp_path, reader):
    (tmp_path / "a.txt").write_bytes("Größe und Breite".encode("latin-1"))
    (tmp_path / "b.txt").write_text("plain")
    (piece,) = pieces_of(reader, shards_of(group_of(tmp_path)))
    assert piece.notes == (f"{tmp_path}/a.txt is not valid UTF-8: read as Windows-1252",)


def test_a_shard_that_is_left_in_the_middle_leaves_the_next_one_alone(tmp_path, reader):
    write_tables(tmp_path / "corpus")
    first, second, *_ = shards_of(group_of(tmp_path / "corpus"), 3000)
    whole = list(reader.read(first)), list(reader.read(second))
    reading = reader.read(first)
    assert next(reading) == whole[0][0]
    reading.close()
    assert (list(reader.read(first)), list(reader.read(second))) == whole


def test_a_file_that_was_changed_is_named_before_anything_is_read(tmp_path, reader):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n' * 50)
    os.utime(path, ns=(10**18, 10**18))
    shards = shards_of(group_of(tmp_path), 100)
    check_unchanged(shards)
    path.write_text('{"text": "two"}\n' * 50)
    with pytest.raises(
        BadInput, match=r"a\.jsonl has changed since this load was planned: it was changed at 20"
    ):
        check_unchanged(shards)
    with pytest.raises(
        BadInput, match=r"a\.jsonl has changed since this load was planned: it was changed at 20"
    ):
        list(reader.read(shards[0]))
    path.write_text('{"text": "three"}\n' * 50)
    with pytest.raises(BadInput, match=r"it had 800 bytes and has 900; nothing was read; with --restart"):
        check_unchanged(shards)
    path.unlink()
    with pytest.raises(BadInput, match="it is gone"):
        check_unchanged(shards)


def test_a_file_that_changes_under_the_reader_makes_its_shard_bad(tmp_path, reader):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n' * 20)
    (shard,) = shards_of(group_of(tmp_path), piece=5)
    reading = reader.read(shard)
    assert len(next(reading).documents) == 5
    path.write_text('{"text": "one"}\n' * 21)
    with pytest.raises(BadInput, match=r"a\.jsonl has changed since .*: it had 320 bytes and has 336"):
        list(reading)


def test_a_part_that_cannot_be_read_makes_its_shard_bad(tmp_path, reader):
    texts = [f"row {n}" for n in range(3000)]
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": texts}), path, row_group_size=1000, compression="zstd")
    shards = shards_of(group_of(tmp_path), 8000, 1000)
    data = bytearray(path.read_bytes())
    begin, end = shards[1].spec["ranges"][0]
    data[begin + 40 : end - 4200] = bytes(end - 4200 - begin - 40)
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(all_of(reader.read(shards[0]))) == 1000
    with pytest.raises(BadInput, match=r"a\.parquet: cannot be"):
        list(reader.read(shards[1]))
    assert [one.text for one in all_of(reader.read(shards[2]))] == texts[2000:]


@pytest.mark.parametrize("dictionary", [True, False])
def test_a_table_of_many_different_texts_is_cut(tmp_path, store, reader, dictionary):
    """Their dictionary is most of a column, and stands before its rows."""
    texts = [f"text number {n} of its own" for n in range(6000)]
    path = tmp_path / "a.parquet"
    table = pa.table({"n": range(6000), "text": texts})
    parquet.write_table(table, path, row_group_size=2000, use_dictionary=dictionary)
    store.pipe_file("/corpus/a.parquet", path.read_bytes())
    for group in (group_of(tmp_path), remote_group("memory://corpus")):
        shards = shards_of(group, 50_000, piece=500)
        assert [shard.kind for shard in shards] == ["rows"] * len(shards)
        assert len(shards) >= 3
        assert [one.text for one in all_of(pieces_of(reader, shards))] == texts


def test_a_changed_file_at_an_address_is_named(store, reader):
    store.pipe_file("/corpus/a.jsonl", b'{"text": "one"}\n' * 50)
    shards = shards_of(remote_group("memory://corpus"), 100)
    check_unchanged(shards)
    store.pipe_file("/corpus/a.jsonl", b'{"text": "one"}\n' * 51)
    changed = r"memory://corpus/a\.jsonl has changed .*: it had 800 bytes and has 816"
    with pytest.raises(BadInput, match=changed):
        check_unchanged(shards)
    with pytest.raises(BadInput, match=changed):
        list(reader.read(shards[3]))
    store.rm_file("/corpus/a.jsonl")
    with pytest.raises(BadInput, match=r"memory://corpus/a\.jsonl has changed .*: it is gone"):
        check_unchanged(shards)


def test_a_file_at_the_top_of_a_store_is_read(store, reader):
    store.pipe_file("/a.jsonl", b'{"text": "one"}\n' * 50)
    shards = shards_of(remote_group("memory://a.jsonl"), 100)
    check_unchanged(shards)
    assert len(shards) > 3
    assert [one.text for one in all_of(pieces_of(reader, shards))] == ["one"] * 50


@pytest.mark.parametrize("documents", [1, 50])
def test_a_file_that_is_replaced_while_it_is_fetched_makes_its_shard_bad(
    store, reader, monkeypatch, documents
):
    """By another of as many bytes."""
    lines = b'{"text": "one"}\n' * documents
    store.pipe_file("/corpus/a.jsonl", lines)
    (shard, *_) = shards_of(remote_group("memory://corpus"), 100)
    after = MemoryFile(store, "/corpus/a.jsonl", lines.replace(b"one", b"two"))
    after.created += timedelta(seconds=9)  # which is what this store tells of a file

    def replacing(whole):
        def read(self, path, *given, **options):
            result = whole(self, path, *given, **options)
            store.store["/corpus/a.jsonl"] = after
            return result

        return read

    for name in ("_open", "cat_file"):
        monkeypatch.setattr(type(store), name, replacing(getattr(type(store), name)))
    with pytest.raises(BadInput, match=r"a\.jsonl has changed since this load was planned"):
        list(reader.read(shard))


def test_files_of_a_listing_that_tells_nothing_are_looked_at(store, monkeypatch):
    """As one of a web page is."""
    for number in range(20):
        store.pipe_file(f"/corpus/{number}.txt", b"text")
    shards = shards_of(remote_group("memory://corpus"))
    whole = type(store).find

    def find(self, path, **options):
        return {name: {"name": name, "size": None, "type": "file"} for name in whole(self, path, **options)}

    monkeypatch.setattr(type(store), "find", find)
    check_unchanged(shards)
    store.pipe_file("/corpus/7.txt", b"longer text")
    with pytest.raises(BadInput, match=r"7\.txt has changed .*: it had 4 bytes and has 11"):
        check_unchanged(shards)


def test_a_file_that_a_server_gives_no_parts_of_is_read_whole(store, reader, monkeypatch):
    store.pipe_file("/corpus/a.jsonl", b'{"text": "one"}\n' * 50)
    whole = type(store).info
    monkeypatch.setattr(type(store), "info", lambda *a, **k: {**whole(*a, **k), "partial": False})
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "cat_file", lambda *a, **k: pytest.fail("a part is asked for"))
        (shard,) = shards_of(remote_group("memory://corpus"), 100)
        assert len(all_of(pieces_of(reader, [shard]))) == 50


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_ends_the_load_and_blames_no_file(store, reader, monkeypatch, number):
    store.pipe_file("/corpus/a.txt", b"text")
    (shard,) = shards_of(remote_group("memory://corpus"))

    def full(*_, **__):
        raise OSError(number, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "_open", full)
        with pytest.raises(DiskFull):
            list(reader.read(shard))
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DiskFull):
        list(reader.read(shard))


def changed_plan(shard: ShardPlan, **changes: object) -> ShardPlan:
    """The plan of a stranger."""
    spec = json.loads(json.dumps(shard.spec))
    for name, value in changes.items():
        (spec if name in spec else spec["files"][0])[name] = value
    return ShardPlan(0, shard.kind, spec)


def refuse(plan: ShardPlan, named: Named) -> None:
    with pytest.raises(BadInput, match="is not in what was named now"):
        check_unchanged([plan], named)


def test_a_plan_may_only_name_files_of_what_was_named(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    (tmp_path / "other.txt").write_text("not named")
    (shard,) = shards_of(group_of(tmp_path / "mine"))
    named = Named([tmp_path / "mine"])
    check_unchanged([shard], named)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    check_unchanged([shard], Named([tmp_path / "link"]))
    for changes in (
        {"folder": f"{tmp_path}/"},
        {"root": str(tmp_path)},
        {"name": "../other.txt"},
        {"name": f"{tmp_path}/other.txt"},
    ):
        refuse(changed_plan(shard, **changes), named)


def test_a_plan_may_not_name_what_lies_beside_a_file_that_was_named(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.txt", "b.txt", "deep/c.txt"):
        (tmp_path / name).write_text("text")
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    shards = [one for one in shards_of(group_of(tmp_path), 1) if one.spec["files"][0]["name"] == "a.txt"]
    check_unchanged(shards, Named([tmp_path / "a.txt"]))
    for name in ("b.txt", "deep/c.txt"):
        refuse(changed_plan(shards[0], name=name), Named([tmp_path / "a.txt"]))
        check_unchanged([changed_plan(shards[0], name=name)], Named([tmp_path]))


def test_a_plan_may_not_name_what_a_folder_is_not_read_for(tmp_path):
    folder, outside = tmp_path / "mine", tmp_path / "outside"
    for path in (folder / "a.txt", folder / ".hidden" / "b.txt", outside / "c.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
        os.utime(path, ns=(10**18, 10**18))
    (shard,) = shards_of(group_of(folder))
    (folder / "link").symlink_to(outside)
    refuse(changed_plan(shard, name=".hidden/b.txt"), Named([folder]))
    linked = changed_plan(shard, name="link/c.txt")
    check_unchanged([linked], Named([folder]))
    refuse(linked, Named([folder], within=[folder]))
    refuse(shard, Named([folder], within=[outside]))


@pytest.mark.parametrize(
    ("named", "may", "may_not"),
    [
        ("memory://mine", ["a.txt", "deep/b.txt"], ["../other.txt", "%2e%2e/other.txt", "/other.txt"]),
        ("memory://mine/a.txt", ["a.txt"], ["c.txt", "deep/b.txt"]),
        ("memory://mine/*.txt", ["a.txt", "c.txt"], ["deep/b.txt", "d.md"]),
    ],
)
def test_a_plan_may_only_name_files_of_an_address_that_was_named(store, named, may, may_not):
    for name in ("mine/a.txt", "mine/c.txt", "mine/deep/b.txt", "mine/d.md", "other.txt"):
        store.pipe_file(f"/{name}", b"text")
    (shard,) = shards_of(remote_group("memory://mine/a.txt"))
    given = Named(addresses=[parse_address(named)])
    for name in may:
        check_unchanged([changed_plan(shard, name=name, modified=0)], given)
    for name in may_not:
        refuse(changed_plan(shard, name=name), given)
    for address in ({"path": "/"}, {"path": "/other"}, {"server": "elsewhere"}):
        refuse(changed_plan(shard, address=shard.spec["address"] | address), given)


def test_a_plan_is_the_same_each_time(tmp_path):
    write_tables(tmp_path / "corpus")
    plans = [shards_of(group_of(tmp_path / "corpus"), 9000) for _ in range(2)]
    for shards in plans:
        for shard in shards:
            shard.spec.pop("planned_at")
    assert plans[0] == plans[1]
    assert len({json.dumps(shard.spec) for shard in plans[0]}) == len(plans[0])
