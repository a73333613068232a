"""One service over HTTP: bounded in time and size, and every failure a sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import httpx

from app.desk import codec
from app.desk.table import READS, Entry
from app.facade.collections import Incoming
from app.remote.address import check_address, is_near
from app.remote.errors import KeyRefused, ServiceAway, ServiceFailed, error_from
from app.remote.names import SESSION_HEADER
from indexing.errors import BadInput

__all__ = ["Connection"]

_CONNECT_SECONDS = 4.0
_READ_SECONDS = 60.0  # without a byte: as long as a service takes to answer one request by default
_WRITE_SECONDS = 30.0
_TOTAL_SECONDS = 180.0  # of one answer, byte by byte
_MOST_BYTES = 96 * 2**20  # of one answer: an original of 64 MiB as base64
_AGAIN_SECONDS = 0.4  # a service that is restarted listens again soon after
_NOT_BEGUN = (httpx.ConnectError, httpx.ConnectTimeout)
_LOST = (*_NOT_BEGUN, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class Connection:
    """Shared by all who look at pages of this process. It follows no redirection: a key goes where it was
    meant to.
    """

    def __init__(self, address: str, *, read_seconds: float = _READ_SECONDS) -> None:
        self.address = check_address(address)
        self._read_seconds = read_seconds
        self._client = httpx.Client(
            timeout=httpx.Timeout(read_seconds, connect=_CONNECT_SECONDS, write=_WRITE_SECONDS, pool=5.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30.0),
            follow_redirects=False,
            trust_env=not is_near(self.address),  # a proxy of the environment is for other machines
        )

    def close(self) -> None:
        self._client.close()

    def ask(
        self,
        entry: Entry,
        arguments: dict[str, Any],
        *,
        key: str = "",
        session: str = "",
        files: Sequence[Incoming] = (),
    ) -> Any:
        """What the service answers to a function of the table, as it is declared there. What changes nothing
        is asked a second time where the connection broke.

        Raises:
            ServiceAway: nobody answers, or not in time. KeyRefused: it wants a key, or another one.
            ServiceFailed: it cannot do that. Other errors are those of the function.
        """
        body = entry.encode_arguments(arguments)
        changes = entry.name not in READS
        try:
            try:
                data = self._post(entry.name, body, key, session, files)
            except _LOST as error:
                if files or (changes and not isinstance(error, _NOT_BEGUN)):
                    raise
                time.sleep(_AGAIN_SECONDS)
                data = self._post(entry.name, body, key, session, files)
        except httpx.HTTPError as error:
            raise self._away(error, changes) from error
        try:
            return codec.decode(data, entry.gives, "the answer")
        except BadInput as error:
            raise ServiceFailed(
                f"The service at {self.address} answers in another way than this page expects ({error}): they"
                " are of different versions."
            ) from error

    def _post(
        self, name: str, body: dict[str, Any], key: str, session: str, files: Sequence[Incoming]
    ) -> Any:
        headers = {"Accept": "application/json"}
        if key:
            if not (key.isascii() and key.isprintable()) or " " in key:
                raise KeyRefused("This is no key: keys have letters, digits and underscores only.")
            headers["Authorization"] = f"Bearer {key}"
        if session:
            headers[SESSION_HEADER] = session
        sent: dict[str, Any] = {"json": body}
        if files:
            brought = [("files", (one.name, one.file, "application/octet-stream")) for one in files]
            sent = {"data": {"arguments": json.dumps(body)}, "files": brought}
        address = f"{self.address}/v1/page/{name}"
        with self._client.stream("POST", address, headers=headers, **sent) as response:
            data = _parsed(self._read(response))
        sound = response.status_code == httpx.codes.OK and isinstance(data, dict) and "answer" in data
        if not sound:
            raise error_from(response.status_code, data, self.address, key=bool(key))
        return data["answer"]

    def _read(self, response: httpx.Response) -> bytes:
        """The body, as far as it may be long and take time."""
        begun, size = time.monotonic(), 0
        pieces = []
        for piece in response.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > _MOST_BYTES:
                raise ServiceFailed(
                    f"The service at {self.address} answers with more than {_MOST_BYTES >> 20} MiB, which is"
                    " more than a page shows: ask for fewer results."
                )
            if time.monotonic() - begun > _TOTAL_SECONDS:
                raise httpx.ReadTimeout("the answer does not end")
        return b"".join(pieces)

    def _away(self, error: httpx.HTTPError, changes: bool) -> ServiceAway:
        where = f"The service at {self.address}"
        if isinstance(error, _NOT_BEGUN):
            return ServiceAway(f"{where} does not answer: it is not running, or cannot be reached from here.")
        after = " Whether it was done is not known: look before you press again." if changes else ""
        if isinstance(error, httpx.TimeoutException):
            return ServiceAway(
                f"{where} has not answered within {self._read_seconds:g} s: it has too much to do, or is far"
                f" away.{after}"
            )
        return ServiceAway(f"{where} broke off before its answer.{after}")


def _parsed(text: bytes) -> Any:
    """JSON; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
