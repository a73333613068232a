"""Remembering ids in little memory."""

from __future__ import annotations

import random

from indexing.writing.seen import SeenIds


def test_it_counts_as_a_set_does():
    rng = random.Random(3)
    seen, reference = SeenIds(), set()
    for _ in range(200):
        ids = {f"document {rng.randrange(40_000)}" for _ in range(rng.randrange(600))}
        assert seen.add(ids) == len(ids & reference)
        reference |= ids
    assert seen.add(reference) == len(reference)


def test_memory_grows_by_eight_bytes_an_id():
    seen = SeenIds()
    for first in range(0, 200_000, 1024):
        seen.add(f"id {i}" for i in range(first, first + 1024))
    assert seen.nbytes == 8 * 1024 * -(-200_000 // 1024)


def test_odd_ids():
    seen = SeenIds()
    assert seen.add([]) == 0
    assert seen.add(["\udcff", "", "é"]) == 0
    assert seen.add(["", "\udcff", "new"]) == 2
