"""What every request passes before anything is read of it: where it comes from, who sends it, how much, how
fast and how long.

It is plain ASGI, and all of it together takes some hundredths of a millisecond.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import uuid4

from starlette.requests import ClientDisconnect

from app.api.errors import error_response
from app.api.exchange import Answer, Body, Gone, Headers, Receive, Scope, Send, too_large
from app.api.limits import Rate
from app.api.logs import log_request
from app.api.origins import Origins
from app.api.preflight import answer_preflight, readable_by
from app.api.service import Service
from app.facade.caller import ALL_RIGHTS, Caller
from app.facade.keys import BadKey
from indexing.errors import IndexingError

__all__ = ["OPEN_PATHS", "Gate"]

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Anybody may ask these: they say nothing about what is kept here."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_UPLOAD = re.compile(
    r"/v1/collections/[^/]+/(documents|files)|/v1/page/(keeping\.add_files|measuring\.add_set)"
)
_FORWARDED = (
    *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"),
    *(b"cf-connecting-ip", b"true-client-ip", b"x-client-ip", b"x-original-forwarded-for"),
)

logger = logging.getLogger(__name__)


class _Refused(Exception):
    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Gate:
    """The outermost middleware. Routes find `caller` and `request_id` in `request.state`, and may leave there
    what is called at the `end`.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], service: Service) -> None:
        self._app = app
        self._service = service
        settings = service.settings
        self._origins = Origins(settings.local, settings.hosts, settings.origins)
        self._rate = Rate(settings.rate, settings.burst)
        self._failures = Rate(5.0, 20)  # of one address, with keys that are none

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope["headers"])
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(headers.get(b"x-request-id"))
        body = Body(receive, headers, self._service.settings.body_seconds)
        answer = Answer(send, request_id, self._service.settings.body_seconds, body)
        try:
            self._check_place(headers)
            if self._origins.lists(origin := headers.get(b"origin")):
                answer.add(readable_by(str(origin)))
                if (preflight := answer_preflight(scope["method"], headers)) is not None:
                    await answer.instead(preflight, scope, receive)
                    return
            state["caller"] = await self._admit(scope, headers)
            await self._pass(scope, body, answer, headers)
        except _Refused as refused:
            headers_ = {"Connection": "close", **refused.headers}  # a stranger holds no connection
            response = error_response(refused.status, str(refused), request_id, headers=headers_)
            await answer.instead(response, scope, receive)
        except TimeoutError:
            message = "the answer took too long: ask for less, or later"
            await answer.instead(error_response(503, message, request_id, type_="timeout"), scope, receive)
        except (Gone, ClientDisconnect):
            pass
        except Exception:
            logger.exception("request %s failed", request_id)
            message = "the service failed; its log says more under this request id"
            await answer.instead(error_response(500, message, request_id), scope, receive)
        finally:
            if (end := state.get("end")) is not None:
                end()
            seconds = time.perf_counter() - started
            caller = state.get("caller")
            log_request(
                request_id,
                scope["method"],
                scope["path"],
                answer.status,
                seconds,
                "" if caller is None else caller.session,
                answer.size,
            )
            for observe in self._service.observers:
                observe(scope, answer.status, seconds)

    def _check_place(self, headers: Headers) -> None:
        """By which name it is called, and from which page. Raises _Refused."""
        host = headers.get(b"host")
        if not self._origins.allows_host(host):
            raise _Refused(
                421,
                "the service is not called by this name: whoever runs it lists its names in STLIB_HOSTS",
            )
        if not self._origins.allows_origin(
            headers.get(b"origin"), host, headers.get(b"sec-fetch-site"), headers.get(b"sec-fetch-mode")
        ):
            raise _Refused(403, "pages of this origin may not use the service: see STLIB_ORIGINS")

    async def _admit(self, scope: Scope, headers: Headers) -> Caller:
        """Who asks. Raises _Refused."""
        if scope["path"] in OPEN_PATHS:
            return _NOBODY
        caller = await self._caller(scope, headers)
        # Whoever needs no key sits at this machine, and is not counted.
        if caller.session.startswith("key-") and (wait := self._rate.seconds_to_wait(caller.session)):
            raise _Refused(429, "too many requests with this key", Retry_After=str(max(1, round(wait))))
        return caller

    async def _caller(self, scope: Scope, headers: Headers) -> Caller:
        said = headers.get(b"authorization")
        if said is None:
            if await self._wants_key(headers):
                raise _Refused(401, "give a key: `Authorization: Bearer KEY`")
            return _LOCAL
        kind, _, secret = said.partition(" ")
        if kind.lower() != "bearer":
            raise _Refused(401, "the key comes as `Authorization: Bearer KEY`")
        keys, secret = self._service.keys, secret.strip()
        if (caller := keys.held(secret)) is not None:
            return caller
        # Many may share an address: who is known there is not kept out by the guesses of another.
        peer = (scope.get("client") or ("",))[0]
        if not keys.was_valid(secret) and (wait := self._failures.look(peer)):
            raise _Refused(429, "too many keys were tried", Retry_After=str(max(1, round(wait))))
        try:
            return await asyncio.get_running_loop().run_in_executor(None, keys.of, secret)
        except BadKey as error:
            self._failures.charge(peer)
            raise _Refused(401, str(error)) from None
        except IndexingError:
            logger.exception("keys cannot be read")
            raise _Refused(503, "keys cannot be looked up now", Retry_After="5") from None

    async def _wants_key(self, headers: Headers) -> bool:
        """Whoever comes by a proxy on this machine is somebody from elsewhere; and a proxy that does not say
        so is one of those for whom keys were made.
        """
        settings, keys = self._service.settings, self._service.keys
        if settings.needs_key or any(map(headers.get, _FORWARDED)):
            return True
        if settings.keys != "auto":
            return False
        if (made := keys.held_made()) is None:
            try:
                made = await asyncio.get_running_loop().run_in_executor(None, keys.made)
            except IndexingError:
                logger.exception("keys cannot be read")
                raise _Refused(503, "keys cannot be looked up now", Retry_After="5") from None
        return made

    async def _check_key(self, headers: Headers) -> None:
        """Raises BadKey when the key of a request that was let in opens nothing any more."""
        keys, secret = self._service.keys, (headers.get(b"authorization") or "").partition(" ")[2].strip()
        if keys.held(secret) is None:
            await asyncio.get_running_loop().run_in_executor(None, keys.of, secret)

    async def _pass(self, scope: Scope, body: Body, answer: Answer, headers: Headers) -> None:
        settings = self._service.settings
        upload = scope["method"] == "POST" and _UPLOAD.fullmatch(scope["path"]) is not None
        most = int((settings.upload_mib if upload else settings.body_mib) * 2**20)
        declared = headers.get(b"content-length") or "0"
        if not declared.isdecimal() or int(declared) > most:
            raise _Refused(413, too_large(most))
        if headers.get(b"content-encoding") not in (None, "identity"):
            raise _Refused(415, "bodies are taken as they are, not compressed")
        body.most = most
        if upload:
            if scope["state"]["caller"] is not _LOCAL:  # who was let in may be shut out before all of it came
                body.check = partial(self._check_key, headers)
            await self._app(scope, body, answer)
        else:
            await answer.within(settings.request_seconds, self._app(scope, body, answer))


_NOBODY = Caller("", "api", rights=frozenset())
_LOCAL = Caller("local", "api", session="local", rights=ALL_RIGHTS)


def _request_id(given: str | None) -> str:
    return given if given is not None and _REQUEST_ID.fullmatch(given) else uuid4().hex
