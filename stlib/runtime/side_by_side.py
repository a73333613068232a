"""Batches on several threads, without the executors that an ending interpreter refuses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Any

__all__ = ["run_side_by_side"]


def run_side_by_side(run: Callable[[Any], None], batches: list[Any], threads: int) -> None:
    """Run all batches in ``threads`` threads, the caller's among them; the first error is raised.

    While the interpreter ends no thread can be started, and the caller's runs all batches; an executor would
    refuse them.
    """
    waiting = deque(batches)
    errors: list[BaseException] = []

    def work() -> None:
        while not errors:
            try:
                batch = waiting.popleft()
            except IndexError:
                return
            try:
                run(batch)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
                errors.append(error)

    try:
        helpers = _start(work, threads - 1)
        work()
        for helper in helpers:
            helper.join()
    finally:
        waiting.clear()  # an interrupted caller leaves no work behind
    if errors:
        raise errors[0]


def _start(work: Callable[[], None], n: int) -> list[Thread]:
    """``n`` threads that work, or as many as can be started."""
    started: list[Thread] = []
    for _ in range(n):
        thread = Thread(target=work, name="stlib-encode")
        try:
            thread.start()
        except RuntimeError:
            break
        started.append(thread)
    return started
