"""The queue beside a search: it is bounded, it outlives its troubles, and it never stops the search."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

import app.feedback.log as module
from app.facade.caller import Caller
from app.facade.feedback import record
from app.facade.search import SearchRequest, search
from app.feedback.log import FeedbackLog, feedback_log
from app.feedback.model import Impression
from app.feedback.table import add_rows, close_databases, read_impressions, write_feedback
from indexing.errors import LockedError, StorageError


def impression(number, at=None):
    at = time.time() if at is None else at
    texts = ("c", at, "ann", "visit", "page", "q", "h", None, "hybrid", 1, None, 1, 10, 0, None, None, "")
    return Impression(f"{number:032x}", *texts, 1.0, False, ())


def numbers(place):
    return sorted(int(one.id, 16) for one in read_impressions(place))


def test_what_is_queued_is_written_within_a_second_or_so(place):
    log = FeedbackLog(place)
    for number in range(450):
        log.add(impression(number))
    assert log.flush() and numbers(place) == list(range(450))
    log.add(impression(450))
    deadline = time.monotonic() + 10
    while len(numbers(place)) < 451 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert numbers(place)[-1] == 450


def test_a_full_queue_loses_the_oldest_and_counts_them(place, monkeypatch):
    monkeypatch.setattr(module, "MOST_QUEUED", 10)
    monkeypatch.setattr(FeedbackLog, "_ensure_thread", lambda self: None)
    log = FeedbackLog(place)
    for number in range(25):
        log.add(impression(number))
    assert log.dropped == 15
    monkeypatch.undo()
    log.add(impression(25))
    assert log.flush() and numbers(place) == list(range(15, 26))


def test_what_another_process_holds_up_is_written_afterwards(place, monkeypatch):
    tries = []

    def held_up(place):
        tries.append(place)
        if len(tries) < 3:
            raise LockedError("held by another process")
        return write_feedback(place)

    monkeypatch.setattr(module, "write_feedback", held_up)
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    log = FeedbackLog(place)
    for number in range(3):
        log.add(impression(number))
    assert log.flush() and numbers(place) == [0, 1, 2]
    assert (len(tries), log.dropped) == (3, 0)


def test_old_searches_are_forgotten_and_words_stay(place, monkeypatch):
    monkeypatch.setenv("STLIB_LOG_DAYS", "30")
    now = time.time()
    with write_feedback(place) as connection:
        add_rows(connection, [impression(1, now - 31 * 86_400), impression(2, now - 29 * 86_400)])
    log = FeedbackLog(place)
    log.add(impression(3))
    assert log.flush() and numbers(place) == [2, 3]
    monkeypatch.setenv("STLIB_LOG_DAYS", "0")
    with write_feedback(place) as connection:
        add_rows(connection, [impression(1, now - 31 * 86_400)])
    log = FeedbackLog(place)
    log.add(impression(4))
    assert log.flush() and numbers(place) == [1, 2, 3, 4]


@pytest.mark.parametrize("how", ["garbage", "link", "folder", "newer"])
def test_a_database_that_cannot_be_used_stops_no_search(animals, ann, place, location, tmp_path, caplog, how):
    if how == "garbage":
        place.database.write_bytes(b"no database" * 1000)
    elif how == "link":
        place.database.symlink_to(tmp_path / "elsewhere")
    elif how == "folder":
        place.database.mkdir()
    else:
        with closing(sqlite3.connect(place.database)) as connection:
            connection.execute("PRAGMA user_version = 99")
    with caplog.at_level(logging.WARNING):
        found = search(animals, SearchRequest(q="honey"), caller=ann, location=location)
        log = feedback_log(place)
        assert log.flush()
    assert found[0].id == "bee" and log.dropped == 1
    assert [r.getMessage().partition(": ")[0] for r in caplog.records] == ["searches are not recorded"]
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(StorageError, match=r"feedback\.sqlite"):
        read_impressions(place)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_writes_its_own_and_the_parent_its_own(place):
    log = feedback_log(place)
    for number in range(300):  # a batch is being written while this process is forked
        log.add(impression(number))
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        log.add(impression(1000))
        os._exit(0 if log.flush() and log.dropped == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert log.flush()
    assert numbers(place) == [*range(300), 1000]


ASK = """
import sys
from app.facade.caller import Caller
from app.facade.feedback import record
from app.facade.search import SearchRequest, search
from app.settings import Location
from indexing import Collection
from pathlib import Path

location = Location(Path(sys.argv[1]))
collection = Collection.open("animals", home=location.home)
print(search(collection, SearchRequest(q="honey"), caller=Caller("ann"), location=location)[0].id)
"""


def test_the_end_of_a_process_waits_for_its_searches(animals, place):
    command = [sys.executable, "-c", ASK, str(place.location.home)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "bee\n", "")
    assert [one.who for one in read_impressions(place)] == ["ann"]


# Root may write everywhere, unless it gives up CAP_DAC_OVERRIDE.
AS_A_READER = """
import ctypes, os, struct
if os.getuid() == 0:
    header, sets = struct.pack("Ii", 0x20080522, 0), bytearray(24)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, (ctypes.c_char * 24).from_buffer(sets)) == 0
    values = list(struct.unpack("6I", sets))
    values[0], values[1] = values[0] & ~2, values[1] & ~2
    assert libc.capset(header, struct.pack("6I", *values)) == 0
"""
READ = """
from app.facade.feedback import others_said
print(others_said(Caller("ben"), location, collection, "honey"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its powers by calls of Linux")
@pytest.mark.parametrize("with_words", [False, True])
def test_a_home_that_is_only_read_is_searched_in_silence(animals, ann, place, location, with_words):
    if with_words:
        record(ann, location, animals, "honey", "bee", "up")
    home = place.location.home
    close_databases()
    animals.close()
    before = place.database.read_bytes() if with_words else None
    files = [*home.rglob("*"), home]
    for path in files:
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [sys.executable, "-c", AS_A_READER + ASK + READ, str(home)]
    environment = {**os.environ, "STLIB_STATE": "/proc/nowhere"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    finally:
        for path in files[::-1]:
            path.chmod(0o755)
    said = "{'bee': {'up': 1}}" if with_words else "{}"
    assert (done.returncode, done.stdout) == (0, f"bee\n{said}\n"), done.stderr
    assert "recorded" not in done.stderr
    assert (place.database.read_bytes() if place.database.exists() else None) == before


def test_a_nameless_caller_is_a_visit(animals, place, location):
    search(animals, SearchRequest(q="honey"), caller=Caller(session="v7"), location=location)
    assert feedback_log(place).flush()
    [kept] = read_impressions(place)
    assert (kept.who, kept.seed, kept.person) == ("", "v7", "v7")
