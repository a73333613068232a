"""A hub on this machine: a small HTTP server on 127.0.0.1 that speaks the endpoints that models need."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOKEN = "hf_secret"


class Hub:
    """Repositories in memory: id to ``{"branches": {name: commit}, "commits": {commit: {path: bytes}}}``."""

    def __init__(self):
        self.repos: dict[str, dict] = {}
        self.requests: list[tuple[str, str]] = []
        self.commit_messages: list[dict] = []
        self.private: set[str] = set()

    def create(self, repo: str) -> None:
        self.repos[repo] = {"branches": {"main": "0" * 40}, "commits": {"0" * 40: {}}}

    def commit(self, repo: str, branch: str, files: dict[str, bytes]) -> str:
        state = self.repos[repo]
        tree = {**state["commits"][state["branches"][branch]], **files}
        parts = (path.encode() + content for path, content in sorted(tree.items()))
        sha = hashlib.sha1(b"".join(parts), usedforsecurity=False).hexdigest()
        state["commits"][sha] = tree
        state["branches"][branch] = sha
        return sha

    def put_folder(self, repo: str, folder: Path, branch: str = "main") -> str:
        if repo not in self.repos:
            self.create(repo)
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        return self.commit(repo, branch, files)

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        state = self.repos[repo]
        return state["commits"][state["branches"].get(branch, branch)]

    def fetched(self) -> list[str]:
        """Files whose content was sent, in order."""
        return [
            path.split("/resolve/")[1].split("/", 1)[1]
            for kind, path in self.requests
            if kind == "GET" and "/resolve/" in path
        ]


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Keep the output of tests quiet."""

    def reply(self, status: int, body: bytes | dict | list = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_HEAD(self):
        self.answer()

    do_GET = do_POST = do_HEAD

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        self.hub.requests.append((self.command, path))
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        for pattern, method in (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", lambda body: self.reply(200, {"errors": [], "warnings": []})),
            (r"/api/models/(.+)/branch/(.+)", self.branch),
            (r"/api/models/(.+)/preupload/(.+)", self.preupload),
            (r"/api/models/(.+)/commit/(.+)", self.take_commit),
            (r"/api/models/(.+)/tree/(.+)", self.tree),
            (r"/api/models/(.+?)(?:/revision/(.+))?", self.info),
            (r"/(.+)/resolve/([^/]+)/(.+)", self.resolve),
        ):
            if match := re.fullmatch(pattern, path):
                self.query = dict(urllib.parse.parse_qsl(url.query))
                method(body, *match.groups()) if body or match.groups() else method(body)
                return
        self.reply(404)

    def found(self, repo: str, revision: str | None) -> str | None:
        """The commit of a revision; answers with the hub's errors if there is none."""
        authorized = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo not in self.hub.repos or (repo in self.hub.private and not authorized):
            self.reply(401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return None
        state = self.hub.repos[repo]
        sha = state["branches"].get(revision or "main", revision)
        if sha not in state["commits"]:
            self.reply(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
            return None
        return sha

    def info(self, _body, repo, revision):
        if sha := self.found(repo, revision):
            names = [{"rfilename": name} for name in self.hub.repos[repo]["commits"][sha]]
            self.reply(
                200,
                {"id": repo, "modelId": repo, "sha": sha, "siblings": names, "private": False, "tags": []},
            )

    def tree(self, _body, repo, place):
        """Files of a revision, or of a folder in it: ``revision`` or ``revision/folder``."""
        state = self.hub.repos.get(repo, {"branches": {}, "commits": {}})
        known = {*state["branches"], *state["commits"]}
        revision = next((name for name in known if f"{place}/".startswith(f"{name}/")), place)
        if sha := self.found(repo, revision):
            folder = place[len(revision) :].strip("/")
            files = {
                name: content
                for name, content in state["commits"][sha].items()
                if not folder or name.startswith(f"{folder}/")
            }
            if folder and not files:
                self.reply(404, X_Error_Code="EntryNotFound")
                return
            entry = {"type": "file", "oid": "0" * 40}
            self.reply(200, [{**entry, "path": name, "size": len(files[name])} for name in files])

    def resolve(self, _body, repo, revision, name):
        if sha := self.found(repo, revision):
            content = self.hub.repos[repo]["commits"][sha].get(name)
            if content is None:
                self.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=sha)
            else:
                etag = hashlib.sha256(content).hexdigest()
                self.reply(200, content, ETag=f'"{etag}"', X_Repo_Commit=sha)

    def create(self, body):
        wanted = json.loads(body)
        repo = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        address = {"url": f"http://{self.headers['Host']}/{repo}", "name": repo, "id": repo}
        if repo in self.hub.repos:
            self.reply(409, {"error": "You already created this model repo", **address})
            return
        self.hub.create(repo)
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.hub.private.add(repo)
        self.reply(200, address)

    def branch(self, _body, repo, name):
        branches = self.hub.repos[repo]["branches"]
        exists = name in branches
        branches.setdefault(name, branches["main"])
        self.reply(409 if exists else 201, {"error": "Reference already exists"} if exists else {})

    def preupload(self, body, _repo, _revision):
        files = [
            {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
            for f in json.loads(body)["files"]
        ]
        self.reply(200, {"files": files})

    def take_commit(self, body, repo, revision):
        lines = [json.loads(line) for line in body.decode().splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        branch = revision
        if self.query.get("create_pr"):
            branch = "refs/pr/1"
            self.hub.repos[repo]["branches"][branch] = self.hub.repos[repo]["branches"][revision]
        sha = self.hub.commit(repo, branch, files)
        self.hub.commit_messages.append({**header, "branch": branch})
        here = f"http://{self.headers['Host']}/{repo}"
        answer = {"success": True, "commitUrl": f"{here}/commit/{sha}", "commitOid": sha}
        self.reply(200, {**answer, "pullRequestUrl": f"{here}/discussions/1"})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A running hub which huggingface_hub believes to be the hub, and an empty cache."""
    import huggingface_hub.hf_api
    from huggingface_hub import constants

    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # an earlier test may have wanted it at import
    # huggingface_hub's plain functions belong to one object, made when it is imported.
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", hub.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "cache"))
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()
