"""The process that listens: it accepts connections, hands each to the worker that has the fewest, and starts
another worker in place of one that died or stands still.

Workers that share a listening socket take what they get first, so that one of two may have all of eight
connections that stay open. Handing them out costs a connection some hundredths of a millisecond, and requests
on it nothing.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

from app.api.busy import turn_away
from app.api.logs import log_as_json
from app.api.settings import ServiceSettings
from app.api.telemetry.shared import forget_worker
from app.settings import Location

__all__ = ["ServiceFailed", "listen", "supervise"]

logger = logging.getLogger(__name__)

_BACKLOG = 512
_READY, _CLOSED = b"r"[0], b"c"[0]
_NEW, _NEW_AND_FULL = b"n", b"f"
_MOST_EARLY_DEATHS = 5  # of workers in a row that never were ready
_LOOK_SECONDS = 0.02
_KILL_SECONDS = 3.0  # after the time that requests in flight have
_STILL_SECONDS = 15.0  # that a worker's loop may stand still: a large body is read in two at most
_LATE_SECONDS = 3.0  # between two looks of ours, which then say nothing of the workers
# Memory that a thread frees stays with its arena, and of these glibc makes eight a processor: with two, a
# worker that does everything for a minute has 180 MiB to itself in place of 280, and stays there.
_ARENAS = {"MALLOC_ARENA_MAX": "2"}
# Each worker is one of several that share the processors: threads of one, waiting for each other, would keep
# the others waiting.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


class ServiceFailed(Exception):
    """The service cannot start, or its workers die again and again; what they wrote is on stderr."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises:
        OSError: the address is none of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def supervise(
    listener: socket.socket,
    location: Location,
    settings: ServiceSettings,
    ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C; `ready` is called once, when every worker has loaded what it needs.

    Raises:
        ServiceFailed: workers die before they are ready.
    """
    log_as_json()
    supervisor = _Supervisor(listener, location, settings, ready)
    handlers = {one: signal.signal(one, supervisor.end) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        supervisor.run()
    finally:
        supervisor.stop()
        for one, handler in handlers.items():
            signal.signal(one, handler)


class _Process:
    """A worker, and this end of the socket to it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "app.api.worker", str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the supervisor, which tells them
            )
        self.control.setblocking(False)
        self.connections = 0
        self.ready = False
        self.heard = time.monotonic()

    def give(self, connection: socket.socket, *, full: bool) -> bool:
        """Whether the worker takes it; where all is `full`, in place of one that is idle."""
        try:
            socket.send_fds(self.control, [_NEW_AND_FULL if full else _NEW], [connection.fileno()])
        except OSError:  # it is dead, or so busy that it does not even look
            return False
        self.connections += 1
        return True


class _Supervisor:
    def __init__(
        self,
        listener: socket.socket,
        location: Location,
        settings: ServiceSettings,
        ready: Callable[[], None],
    ) -> None:
        self._listener = listener
        self._settings = settings
        self._environment = _environment(location, settings)
        self._ready: Callable[[], None] | None = ready
        self._workers: list[_Process] = []
        self._early_deaths = 0
        self._ending = self._in_a_hurry = False
        self._selector = selectors.DefaultSelector()
        self._looked = time.monotonic()
        self._woken, self._waker = socket.socketpair()
        listener.setblocking(False)

    def run(self) -> None:
        self._waker.setblocking(False)
        before = signal.set_wakeup_fd(self._waker.fileno())
        try:
            self._selector.register(self._woken, selectors.EVENT_READ, None)
            self._selector.register(self._listener, selectors.EVENT_READ, None)
            for _ in range(self._settings.workers):
                self._start()
            while not self._ending:
                self._look()
        finally:
            signal.set_wakeup_fd(before)

    def stop(self) -> None:
        """Accept nothing more, and wait until requests in flight have ended, or for another Ctrl-C."""
        self._listener.close()
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self._settings.shutdown_seconds + _KILL_SECONDS
        while any(worker.process.poll() is None for worker in self._workers):
            if time.monotonic() > deadline or self._in_a_hurry:
                for worker in self._workers:
                    worker.process.kill()
            time.sleep(_LOOK_SECONDS)
        for worker in self._workers:
            worker.control.close()
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def end(self, number: int, _frame: FrameType | None) -> None:
        """For SIGTERM and Ctrl-C."""
        self._in_a_hurry = self._ending and number == signal.SIGINT
        self._ending = True

    def _start(self) -> None:
        worker = _Process(self._environment)
        self._workers.append(worker)
        self._selector.register(worker.control, selectors.EVENT_READ, worker)

    def _look(self) -> None:
        for key, _ in self._selector.select(timeout=1.0):
            if isinstance(key.data, _Process):
                self._hear(key.data)
            elif key.fileobj is self._listener:
                self._accept()
            else:
                self._woken.recv(64)
        self._replace_still()

    def _replace_still(self) -> None:
        """A worker that is ready says each second that its loop goes on."""
        now = time.monotonic()
        late, self._looked = now - self._looked > _LATE_SECONDS, now
        for worker in list(self._workers):
            if late or not worker.ready:
                worker.heard = now
            elif now - worker.heard > _STILL_SECONDS:
                logger.warning("a worker has stood still for %.0f s and is ended", now - worker.heard)
                self._replace(worker)

    def _hear(self, worker: _Process) -> None:
        try:
            said = worker.control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._replace(worker)
            return
        worker.heard = time.monotonic()
        worker.connections -= said.count(_CLOSED)
        if _READY in said:
            worker.ready = True
            self._early_deaths = 0
            if self._ready is not None and all(one.ready for one in self._workers):
                ready, self._ready = self._ready, None
                ready()

    def _replace(self, worker: _Process) -> None:
        self._selector.unregister(worker.control)
        worker.control.close()
        self._workers.remove(worker)
        worker.process.kill()  # its end of the socket is closed, so it does nothing any more
        code = worker.process.wait()
        forget_worker(worker.process.pid)
        if not worker.ready:
            self._early_deaths += 1
            if self._early_deaths >= _MOST_EARLY_DEATHS:
                raise ServiceFailed(f"workers end with code {code} before they are ready; why stands above")
            time.sleep(0.1 * self._early_deaths)
        logger.warning("a worker ended with code %s: another one is started", code)
        self._start()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # the client has left, or there are too many open files
            return
        with connection:
            full = sum(one.connections for one in self._workers) >= self._settings.connections
            # Those that are loading take connections only where no other can, to say that they are. Where all
            # are taken, the one that has most is most likely to have one that is idle.
            sign = -1 if full else 1
            for worker in sorted(self._workers, key=lambda one: (not one.ready, sign * one.connections)):
                if worker.give(connection, full=full):
                    return
            turn_away(connection)


def _environment(location: Location, settings: ServiceSettings) -> dict[str, str]:
    """What tells a worker where it works and how."""
    known = getattr(os, "sched_getaffinity", None)
    processors = len(known(0)) if known is not None else os.cpu_count() or 1
    threads = str(max(1, processors // settings.workers))
    environment = {**dict.fromkeys(_THREADS, threads), **_ARENAS, **os.environ, **location.to_environment()}
    for name, value in settings.model_dump(exclude_unset=True).items():
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        environment[f"STLIB_{name.upper()}"] = text
    return environment
