"""A small OpenID Connect issuer for tests: discovery, authorization code with PKCE, tokens signed by RS256.

with running_issuer() as issuer:
    issuer.people["ann"] = {"email": "ann@example.org", "email_verified": True, "roles": ["editors"]}
    issuer.secrets(folder / "secrets.toml", page_url)      # what Streamlit reads
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

__all__ = ["Issuer", "running_issuer"]

CLIENT, SECRET = "stlib-page", "the secret of the page"


class Issuer:
    """
    Attributes:
        people: name on the form → claims of the ID token beside those that every one has.
        signed_at: seconds that are added to the time of signing in; negative for long ago.
        given: codes that were given and not taken yet, with what they are for.
    """

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.signed_at = 0.0
        self.given: dict[str, dict[str, str]] = {}
        self.key = RSAKey.generate_key(2048, {"kid": "tests", "use": "sig", "alg": "RS256"})
        self.url = ""

    def secrets(self, path: Path, page: str) -> None:
        """Write Streamlit's secrets.toml for a page at this address."""
        path.write_text(
            "[auth]\n"
            f'redirect_uri = "{page}/oauth2callback"\n'
            f'cookie_secret = "{secrets.token_hex(32)}"\n'
            f'client_id = "{CLIENT}"\n'
            f'client_secret = "{SECRET}"\n'
            f'server_metadata_url = "{self.url}/.well-known/openid-configuration"\n'
        )

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def form(self, asked: dict[str, str]) -> str:
        """Who are you?"""
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT, asked
        assert "openid" in asked["scope"].split() and asked["code_challenge_method"] == "S256", asked
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in asked.items()
        )
        buttons = "".join(
            f'<button name="person" value="{escape(one)}">{escape(one)}</button>' for one in self.people
        )
        return (
            f'<!doctype html><title>Issuer</title><form action="/grant" method="get">{hidden}{buttons}</form>'
        )

    def grant(self, asked: dict[str, str]) -> str:
        """Where the browser goes with a code."""
        code = secrets.token_urlsafe()
        self.given[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """What a code is worth, once; None for anything else."""
        known = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        given = self.given.pop(asked.get("code", ""), None)
        if authorization not in (f"Basic {known}", f"Basic {plain}") or given is None:
            return None
        proof = hashlib.sha256(asked["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(proof).decode().rstrip("=") != given["code_challenge"]:
            return None
        now = time.time()
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": f"subject-of-{given['person']}",
            "iat": int(now + self.signed_at),
            "exp": int(now + 3600),
            "nonce": given["nonce"],
            **self.people[given["person"]],
        }
        signed = jwt.encode({"alg": "RS256", "kid": "tests"}, claims, self.key)
        return {
            "access_token": secrets.token_urlsafe(),
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": signed,
        }


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/.well-known/openid-configuration":
                self._send(200, "application/json", json.dumps(issuer.metadata()))
            elif parts.path == "/jwks":
                self._send(200, "application/json", json.dumps({"keys": [issuer.key.as_dict(private=False)]}))
            elif parts.path == "/authorize":
                self._send(200, "text/html", issuer.form(asked))
            elif parts.path == "/grant":
                self._send(302, "text/plain", "", Location=issuer.grant(asked))
            else:
                self._send(404, "text/plain", "")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            token = issuer.token(asked, self.headers.get("Authorization", ""))
            if token is None:
                self._send(400, "application/json", '{"error": "invalid_grant"}')
            else:
                self._send(200, "application/json", json.dumps(token))

        def _send(self, status: int, kind: str, body: str, **headers: str) -> None:
            data = body.encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
