"""The commands of docker-compose.yml, run as processes on one home: the page queues, the worker works; and
for a team on a real PostgreSQL, with a service between.

What this does not show is what Docker itself does: building the image, users, mounts and networks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from app.facade.jobs import list_jobs
from app.jobs.beat import ALIVE_SECONDS
from app.settings import Location
from app.ui.server import free_port
from indexing import Collection

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("ctrl_c_is_not_ignored")]

# In place of the entry point, which an installed package has.
STLIB = [sys.executable, "-c", "from app.cli import main; main()"]


class Services:
    """The services that start with some variables, with their volume in a folder and their ports free ones.

    `database` is the host, port and name of one that stands in for that of the file.
    """

    def __init__(self, deployment, folder, database="", **variables):
        assert deployment.entrypoint == ["stlib"]
        self.deployment, self.folder = deployment, folder
        self.services = deployment.services(**variables)
        self.ports = {"8501": str(free_port()), "8800": str(free_port())}
        self.replaced = {"/data": str(folder), "postgres:5432/stlib": database}
        self.replaced["service:8800"] = f"localhost:{self.ports['8800']}"
        self.location = Location(folder / "home")
        self.processes = {}

    def environment(self, name):
        given = {**self.deployment.environment, **self.services[name]["environment"]}
        given = {k: v for k, v in given.items() if k not in ("PATH", "HOME")}
        for there, here in self.replaced.items():
            given = {k: v.replace(there, here, 1) for k, v in given.items()}
        given["STLIB_WORKERS"] = "1"  # of a service; by itself it has one for each processor
        return {**os.environ, **given, "PYTHONPATH": str(self.deployment.root)}

    def arguments(self, arguments):
        return [*STLIB, *(self.ports.get(one, one) for one in arguments)]

    def start(self, name):
        command = self.arguments(self.services[name]["command"])
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment(name),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_healthy(self, name):
        kind, program, *arguments = self.services[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "stlib")
        return self.run(name, *arguments).returncode == 0

    def run(self, name, *arguments):
        """A command inside a service, as `docker compose exec` runs it."""
        command = self.arguments(arguments)
        environment = self.environment(name)
        return subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True)

    def kill(self, name):
        """All at once, as a container dies: a job's process is in a session of its own."""
        for job in list_jobs(self.location) if name == "worker" else []:
            if job.state == "running":
                os.kill(job.pid, signal.SIGKILL)
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes.pop(name).wait()

    def stop(self, name):
        """As `docker compose stop` does; returns the exit code within the time the file gives."""
        grace = int(self.services[name]["stop_grace_period"].removesuffix("s"))
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(grace)


@contextmanager
def end_of(services):
    try:
        yield services
    finally:
        for name in list(services.processes):
            services.kill(name)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(0.1)
    return found


@pytest.fixture
def volume(tmp_path, monkeypatch):
    # This test looks as the page does: it starts no job, and knows what the services know.
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "data" / "state"))
    monkeypatch.setenv("STLIB_JOBS", "0")
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def services(deployment, volume):
    with ExitStack() as stack:
        yield stack.enter_context(end_of(Services(deployment, volume)))


@pytest.fixture
def team(deployment, volume, postgres_url):
    parts = urlsplit(postgres_url)
    variables = {"COMPOSE_PROFILES": "team", "STLIB_DB_PASSWORD": unquote(parts.password)}
    database = f"{parts.hostname}:{parts.port}{parts.path}"
    assert parts.username == "stlib"
    with ExitStack() as stack:
        yield stack.enter_context(end_of(Services(deployment, volume, database, **variables)))


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "long.jsonl"
    text = "bread and butter " * 60
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": f"d{i}", "text": f"{i} {text}"}) + "\n" for i in range(6_000))
    return path


def job(services, number):
    return next(job for job in list_jobs(services.location) if job.id == number)


def test_page_and_worker_on_one_volume(services, corpus, tmp_path):
    (tmp_path / "a.txt").write_text("apples")
    services.start("page")
    services.start("worker")
    wait_until(lambda: services.is_healthy("worker"))
    wait_until(lambda: services.is_healthy("page"))
    assert "no sign-in stands before it" in (services.folder / "page.log").read_text()

    # Queued by the page, done by the worker.
    said = services.run("page", "index", "notes", str(tmp_path / "a.txt"), "--background")
    assert (said.returncode, said.stderr) == (0, "")
    done = wait_until(lambda: job(services, 1).finished and job(services, 1))
    assert (done.state, done.result["added"]) == ("done", 1)
    wait_until(lambda: "job 1: index 'notes': done" in (services.folder / "worker.log").read_text())

    # The worker dies in the middle: seen, and resumed by a person when it is back.
    services.run("page", "index", "notes", str(corpus), "--background")
    wait_until(lambda: job(services, 2).done >= 1024)
    services.kill("worker")
    wait_until(lambda: job(services, 2).state == "interrupted")
    [beat] = (services.location.home / "jobs").glob("*.beat")
    os.utime(beat, (time.time() - ALIVE_SECONDS - 1,) * 2)
    assert not services.is_healthy("worker")
    services.start("worker")
    wait_until(lambda: services.is_healthy("worker"))
    assert job(services, 2).state == "interrupted"  # nobody said a word yet
    assert services.run("page", "jobs", "resume", "2").returncode == 0

    # The page dies meanwhile: the job goes on, and the page comes back.
    services.kill("page")
    assert not services.is_healthy("page")
    services.start("page")
    done = wait_until(lambda: job(services, 2).finished and job(services, 2))
    assert (done.state, done.result["documents"]) == ("done", 6001)
    assert done.result["unchanged"] >= 1024
    wait_until(lambda: services.is_healthy("page"))
    with Collection.open("notes", home=services.location.home) as collection:
        assert collection.verify().clean and collection.count() == 6001

    # Stopped as they are stopped: in time, quietly, and the sign of life goes with the worker.
    assert (services.stop("worker"), services.stop("page")) == (0, 0)
    assert not services.is_healthy("worker") and not services.is_healthy("page")


def test_a_worker_that_is_stopped_leaves_its_job_to_be_resumed(services, corpus):
    services.start("worker")
    services.run("page", "index", "notes", str(corpus), "--background")
    wait_until(lambda: job(services, 1).done >= 1024)
    assert services.stop("worker") == 0
    stopped = job(services, 1)
    assert (stopped.state, stopped.error) == ("interrupted", "it was stopped")
    with Collection.open("notes", home=services.location.home) as collection:
        assert collection.verify().clean and collection.count() >= 1024


@pytest.mark.long
def test_a_team_on_postgresql(team, tmp_path):
    (tmp_path / "a.txt").write_text("Apples ripen in autumn.")
    said = {"service": "ready\n", "page": "Search page: "}
    for name in ("service", "worker", "page"):
        team.start(name)
    for name, words in said.items():
        wait_until(lambda log=team.folder / f"{name}.log", words=words: words in log.read_text())
        assert team.is_healthy(name)

    # A key, made where the service is, and asked for by it.
    made = team.run("service", "keys", "make", "everybody", "--scope", "write")
    assert made.returncode == 0, made.stderr
    address = f"http://127.0.0.1:{team.ports['8800']}"
    key = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert httpx.get(f"{address}/v1/collections").status_code == 401

    # Queued by the service, done by the worker, found by both.
    queued = team.run("service", "index", "notes", str(tmp_path / "a.txt"), "--background")
    assert (queued.returncode, queued.stderr) == (0, "")
    wait_until(lambda: "job 1: index 'notes': done" in (team.folder / "worker.log").read_text())
    asked = {"query": "when are apples ripe"}
    answer = httpx.post(f"{address}/v1/collections/notes/search", json=asked, headers=key, timeout=30).json()
    assert [result["text"] for result in answer["results"]] == ["Apples ripen in autumn."]

    # All that was said is in the database: the volume has views of it, and no catalog.
    assert not list(team.folder.rglob("catalog.sqlite"))
    secret = team.services["worker"]["environment"]["PGPASSWORD"]
    assert not [log.name for log in team.folder.glob("*.log") if secret in log.read_text()]
    assert [team.stop(name) for name in ("page", "worker", "service")] == [0, 0, 0]
    assert not team.is_healthy("service")
