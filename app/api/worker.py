"""One process of the service: it gets connections from its supervisor and answers what comes on them.

    python -m app.api.worker NUMBER      # of the socket to the supervisor, which starts it so

The supervisor passes the sockets of clients along with a byte, which says whether the service has as many as
it bears; back go one byte when everything is loaded, one for each connection that has ended, and one each
second. When the supervisor dies, its end of the socket closes, and the
worker ends as if it had been told to.
"""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import sys
from typing import Any

import uvicorn

from app.api.app import make_app
from app.api.busy import turn_away
from app.api.logs import log_as_json
from app.api.protocol import BoundedProtocol
from app.api.service import Service
from app.api.settings import ServiceSettings, read_settings
from app.settings import Location

__all__ = ["CLOSED", "READY", "main", "make_server"]

READY, CLOSED, ALIVE = b"r", b"c", b"a"
_FULL = b"f"
_ALIVE_SECONDS = 1.0

# How long a thread may run Python while another waits for its turn, in seconds. With the usual 5 ms the loop
# that takes and sends would wait that long for each search that computes beside it.
_SWITCH_SECONDS = 0.001


def main() -> None:
    log_as_json()
    sys.setswitchinterval(_SWITCH_SECONDS)
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = read_settings()
    # uvicorn sends the signal that ended it once more, for whoever had it before: the process goes on to
    # its end, where what people asked and said is written.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: None)
    app = make_app(Location.from_environment(), settings)
    _Worker(app, app.state.service, settings, control).run()


def make_server(app: Any, service: Service, settings: ServiceSettings) -> uvicorn.Server:
    """A server in this process, on a socket that is given to its `run`."""
    return _Server(app, service, settings)


class _Server(uvicorn.Server):
    def __init__(self, app: Any, service: Service, settings: ServiceSettings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # anybody may send them
                timeout_keep_alive=max(1, round(settings.idle_seconds)),
                timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
            )
        )
        self._service = service
        state: Any = self.server_state
        state.header_seconds = settings.header_seconds
        state.closed = self._connection_closed

    def _connection_closed(self) -> None:
        """Nobody counts."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.end()
        await super().shutdown(sockets)


class _Worker(_Server):
    def __init__(self, app: Any, service: Service, settings: ServiceSettings, control: socket.socket) -> None:
        super().__init__(app, service, settings)
        self._control = control
        self._starting: set[asyncio.Task[None]] = set()
        of_all = settings.address_connections or settings.connections / 2
        self._share = max(1, math.ceil(of_all / settings.workers))  # of one address: each worker has as many
        control.setblocking(False)
        service.ready_callbacks.append(lambda: self._say(READY))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(1)
        self.servers = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._control.fileno(), self._take)
        self._say_alive()
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop.remove_reader(self._control.fileno())
        await super().shutdown(sockets)

    def _take(self) -> None:
        """Take the connections that wait to be taken."""
        while True:
            try:
                data, numbers, _, _ = socket.recv_fds(self._control, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                data, numbers = b"", []
            if not data:  # the supervisor is gone
                self._loop.remove_reader(self._control.fileno())
                self.should_exit = True
                return
            if not numbers:  # too many open files: the system closed it
                self._say(CLOSED)
            for number in numbers:
                connection = socket.socket(fileno=number)
                connection.setblocking(False)
                if not self._make_room(connection, full=data == _FULL):
                    turn_away(connection)
                    connection.close()
                    self._say(CLOSED)
                    continue
                task = self._loop.create_task(self._serve_connection(connection))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)

    def _make_room(self, connection: socket.socket, *, full: bool) -> bool:
        """Whether there is room for it, perhaps by closing the one that is idle the longest: of all, or of
        its address where that has its share.
        """
        try:
            address = connection.getpeername()[0]
        except OSError:  # it was closed meanwhile, which is noticed when it is served
            return True
        there: list[Any] = [one for one in self.server_state.connections if not one.transport.is_closing()]
        of_address = [one for one in there if one.client is not None and one.client[0] == address]
        if len(of_address) >= self._share:
            there = of_address
        elif not full:
            return True
        idle = [one for one in there if one.idle_since is not None]
        if idle:
            min(idle, key=lambda one: one.idle_since).leave()
        return bool(idle)

    async def _serve_connection(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # it was closed meanwhile
            connection.close()
            self._say(CLOSED)

    def _protocol(self) -> Any:
        return BoundedProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=self._loop,
        )

    def _connection_closed(self) -> None:
        self._say(CLOSED)

    def _say_alive(self) -> None:
        self._say(ALIVE)
        self._loop.call_later(_ALIVE_SECONDS, self._say_alive)

    def _say(self, byte: bytes) -> None:
        try:
            self._control.send(byte)
        except OSError:  # the supervisor is gone, or has not looked for long: it counts only
            return


if __name__ == "__main__":
    main()
