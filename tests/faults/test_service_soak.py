"""The service under everything at once: searches, changes, feedback and promotions, and a worker killed now
and then. What was acknowledged is there at the end, nothing grows, and no error comes but the promised ones.

`--soak SECONDS` says for how long: a quarter of a minute with `make test`, ten minutes with `make faults`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from app.feedback.place import feedback_place
from app.feedback.table import read_sayings
from app.settings import Location
from indexing import Collection
from tests.services.api import bearer, new_key, running_service

pytestmark = pytest.mark.faults

NAME = "soak"
PATH = f"/v1/collections/{NAME}"
WORDS = (
    "apple bread cat dog eel fig goat hare ink jam kite lamp moon nest oak pear quill rose sun tree".split()
)
DOCUMENTS = 240  # of each writer
BATCH = 24
GONE = None
# Too much at once, another process that writes for long, time that is up: come again.
PROMISED = {409, 429, 503}


def text_of(id_, version):
    draw = random.Random(f"{id_} {version}")
    return f"{id_} in version {version}: " + " ".join(draw.choices(WORDS, k=40))


class Client:
    """Asks again and again. A worker that is killed takes the answer with it: what it did is not known."""

    def __init__(self, service, key, seed, state):
        self.http = httpx.Client(base_url=service.url, headers=bearer(key), timeout=60)
        self.draw = random.Random(seed)
        self.state = state
        self.answers = Counter()
        self.wrong = []

    def ask(self, method, path, expected="\0", **given):
        """The answer; None where there was none, it is to come again, or is the `expected` error."""
        try:
            answer = self.http.request(method, path, **given)
        except httpx.TransportError:
            self.answers["gone"] += 1
            return None
        self.answers[answer.status_code] += 1
        if answer.status_code in PROMISED or expected in answer.text:
            time.sleep(0.05)
            return None
        if answer.status_code >= 400:
            self.wrong.append((method, path, answer.status_code, answer.text[:300]))
            return None
        return answer.json()


class Searcher(Client):
    def act(self):
        words = " ".join(self.draw.choices(WORDS, k=3))
        filter = self.draw.choice([None, "half = 1", "half = 0"])
        asked = {"query": words, "k": 5, "mode": self.draw.choice(["hybrid", "keyword"]), "filter": filter}
        found = self.ask("POST", f"{PATH}/search", json=asked)
        if found is None:
            return
        for one in found["results"]:
            version = int(one["text"].split()[3].rstrip(":"))
            if one["text"] != text_of(one["id"], version):
                self.wrong.append(("search", one["id"], one["text"][:100]))
            if filter and one["metadata"]["half"] != int(filter[-1]):
                self.wrong.append(("filter", filter, one["id"]))


class Writer(Client):
    """Its documents are its own: `state` has of each which versions it may have now."""

    def __init__(self, service, key, seed, state):
        super().__init__(service, key, seed, state)
        self.ids = [f"w{seed}-{i}" for i in range(DOCUMENTS)]
        self.version = 0

    def act(self):
        ids = self.draw.sample(self.ids, BATCH)
        if self.draw.random() < 0.3:
            self.delete(ids[0])
            return
        self.version += 1
        lines = [
            json.dumps({"id": i, "text": text_of(i, self.version), "metadata": {"half": n % 2}})
            for n, i in enumerate(ids)
        ]
        self.maybe(ids, self.version)
        report = self.ask("POST", f"{PATH}/documents", content="\n".join(lines).encode())
        if report is not None:
            assert (report["stored_lines"], report["failed"]) == (BATCH, 0)
            self.surely(ids, self.version)

    def delete(self, id_):
        self.maybe([id_], GONE)
        try:
            answer = self.http.delete(f"{PATH}/documents/{id_}")
        except httpx.TransportError:
            self.answers["gone"] += 1
            return
        self.answers[answer.status_code] += 1
        if answer.status_code in (200, 404):
            self.surely([id_], GONE)
        elif answer.status_code not in PROMISED:
            self.wrong.append(("DELETE", id_, answer.status_code, answer.text[:300]))

    def maybe(self, ids, version):
        for id_ in ids:
            self.state.setdefault(id_, {GONE}).add(version)

    def surely(self, ids, version):
        for id_ in ids:
            self.state[id_] = {version}


class Judge(Client):
    """What it says and is told to be kept stands in `state`."""

    def act(self):
        word = self.draw.choice(WORDS)
        found = self.ask("GET", f"{PATH}/search", params={"q": word, "k": 3})
        if not found or not found["results"]:
            return
        said = {"query": word, "document": found["results"][0]["id"], "kind": "up", "impression": found["id"]}
        # It may have been deleted since it was found.
        kept = self.ask("POST", f"{PATH}/feedback", "no document", json=said)
        if kept is not None:
            self.state.append(kept["id"])
        time.sleep(0.05)


class Promoter(Client):
    def act(self):
        self.ask("POST", f"{PATH}/servings/{self.draw.choice([1, 2])}/promote", json={})
        time.sleep(0.2)


def private_bytes(pid):
    """What a process has to itself: files that it maps are not counted."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def test_nothing_acknowledged_is_lost(tmp_path, pytestconfig):
    seconds = pytestconfig.getoption("--soak")
    home = tmp_path / "home"
    with Collection.create(NAME, home=home) as collection:
        collection.add([{"id": "first", "text": text_of("first", 1), "metadata": {"half": 0}}])
        assert collection.reindex(ranking={"weights": {"keyword": 0.5}}, promote=False)
    key = new_key(home, scope="admin")
    documents, sayings = {}, []
    with running_service(home, workers=2, rate=0) as service:
        clients = [Searcher(service, key, n, None) for n in (1, 2)]
        clients += [Writer(service, key, n, documents) for n in (3, 4)]
        clients += [Judge(service, key, 5, sayings), Promoter(service, key, 6, None)]
        memory, kills = run(service, clients, seconds)
        for client in clients:
            client.http.close()
        log = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert [one for client in clients for one in client.wrong] == []
    for client in clients:
        done = sum(client.answers[status] for status in (200, 201))
        assert done > 5 and done > 0.8 * client.answers.total(), client.answers
    assert [one["traceback"] for one in log if "traceback" in one] == []
    check_documents(home, documents)
    with Collection.open(NAME, home=home) as collection:
        kept = {one.id for one in read_sayings(feedback_place(Location(home)), collection.uuid)}
    assert set(sayings) <= kept and len(sayings) > 5
    check_memory(memory)
    assert kills >= 1


def run(service, clients, seconds):
    """Everything at once. Returns (time, age of the younger worker, private bytes of both), and kills."""
    end = time.monotonic() + seconds
    every = min(60.0, seconds / 3)
    threads = [threading.Thread(target=go_on, args=(client, end)) for client in clients]
    for thread in threads:
        thread.start()
    memory, kills, began, next_kill = [], 0, time.monotonic(), time.monotonic() + every
    while time.monotonic() < end:
        time.sleep(0.5)
        workers = service.workers()
        try:
            memory.append((time.monotonic() - began, {pid: private_bytes(pid) for pid in workers}))
        except FileNotFoundError:
            continue
        if time.monotonic() >= next_kill and len(workers) == 2:
            os.kill(workers[-1], signal.SIGKILL)  # the younger one: memory of the other is looked at
            kills += 1
            next_kill += every
    for thread in threads:
        thread.join(90)
        assert not thread.is_alive(), "a client waits for ever"
    return memory, kills


def go_on(client, end):
    while time.monotonic() < end:
        try:
            client.act()
        except Exception as error:  # noqa: BLE001 - a thread would end without a word
            client.wrong.append(("failed", repr(error)))
            return


def check_documents(home, documents):
    with Collection.open(NAME, home=home) as collection:
        assert collection.verify().errors == []
        stored = {one.id: one for one in collection}
        assert set(stored) <= {*documents, "first"}
        for id_, versions in documents.items():
            found = stored.get(id_)
            version = GONE if found is None else int(found.text.split()[3].rstrip(":"))
            assert version in versions, (id_, version, versions)
            assert found is None or found.text == text_of(id_, version)
        live = [id_ for id_, one in stored.items() if id_ != "first"]
        for id_ in live[:20]:
            words = stored[id_].text
            assert id_ in [one.id for one in collection.search(words, 3, mode="semantic")]


def check_memory(memory):
    """Each worker that lived long: its last readings are no more than a tenth above those of its prime."""
    by_worker = {}
    for at, sizes in memory:
        for pid, size in sizes.items():
            by_worker.setdefault(pid, []).append((at, size))
    for pid, readings in by_worker.items():
        lived = readings[-1][0] - readings[0][0]
        if lived < 60:  # in its first half minute it loads and fills its caches
            continue
        late = [size for at, size in readings if at >= readings[0][0] + 30]
        third = max(1, len(late) // 3)
        assert max(late[-third:]) <= 1.1 * max(late[:third]), (pid, late)
