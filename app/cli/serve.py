"""`stlib serve`: the HTTP service."""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import click

from app.cli.options import location_options
from app.cli.terminal import echo, warn
from app.settings import HOST_VARIABLE, LOOPBACK, Location

__all__ = ["NEEDED", "NEEDED_BY_AGENTS", "NEEDED_BY_TRACES", "command", "serve"]

# What the extra `serve` brings.
NEEDED = (
    "fastapi uvicorn httptools uvloop python-multipart pydantic-settings prometheus-client opentelemetry-api"
)
NEEDED_BY_AGENTS = "'mcp>=2.3,<3'"  # the extra `mcp`
NEEDED_BY_TRACES = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"  # the extra `traces`
_IMPORTED = ("fastapi", "uvicorn", "httptools", "pydantic_settings", "prometheus_client", "opentelemetry")


def _can_trace() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def _has_keys(location: Location) -> bool:
    # Reading a database takes longer to import than a service without keys takes to start.
    from app.facade.keys import has_keys

    return has_keys(location)


@click.command("serve")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 for a free one. Default: $STLIB_PORT, else 8800."
)
@click.option(
    "--host",
    metavar="ADDRESS",
    help=f"Listen here; all but {LOOPBACK} is for others too, who need keys. Default: ${HOST_VARIABLE}, else"
    f" {LOOPBACK}.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes. Default: one a processor, at most 4.")
@click.option("--require-keys", is_flag=True, help="Ask for a key on this machine too.")
@click.option("--mcp", is_flag=True, help="Let agents come to /mcp too. See `stlib mcp --http`.")
@click.option("--check", is_flag=True, help="Start nothing: exit code 1 if no service there is ready.")
@location_options
def command(
    location: Location,
    port: int | None,
    host: str | None,
    workers: int | None,
    require_keys: bool,
    mcp: bool,
    check: bool,
) -> None:
    """Serve collections over HTTP, to this machine only without --host; Ctrl-C stops it.

    Whoever reaches it from elsewhere needs a key: `stlib keys make NAME`.
    """
    if check:
        _check(host, port)
        return
    keys = "required" if require_keys else None
    serve(location, host=host, port=port, workers=workers, keys=keys, mcp="read" if mcp else None)


def serve(location: Location, **given: Any) -> None:
    """Run the service until Ctrl-C or SIGTERM; `given` are settings in place of those of the environment,
    where they are not None.

    Raises:
        ClickException: packages are missing, the port is taken, or the service ended.
        BadInput: a setting that cannot be.
    """
    _require_packages()
    from app.api.settings import read_settings
    from app.api.supervisor import ServiceFailed, listen, supervise
    from app.api.telemetry.shared import shared_counts

    logging.getLogger("app").setLevel(logging.WARNING)
    settings = read_settings(**given)
    if settings.mcp != "off" and importlib.util.find_spec("mcp") is None:
        raise click.ClickException(f"agents need a package that is missing: pip install {NEEDED_BY_AGENTS}")
    if settings.traces != "off" and not _can_trace():
        raise click.ClickException(f"traces need packages that are missing: pip install {NEEDED_BY_TRACES}")
    if settings.needs_key and not _has_keys(location):
        warn(
            "stlib: note: nobody has a key yet, so every request is refused: `stlib keys make NAME` makes one"
        )
    try:
        listener = listen(settings.host, settings.port)
    except (OSError, UnicodeError, OverflowError) as error:
        raise click.ClickException(
            f"cannot listen on port {settings.port} of {settings.host}: {error}"
        ) from error
    address = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{address}:{listener.getsockname()[1]}"
    agents = "" if settings.mcp == "off" else "agents at /mcp; "
    echo(f"Service: {url}  ({agents}Ctrl-C stops it)")
    try:
        with shared_counts():
            supervise(listener, location, settings, lambda: echo("ready"))
    except ServiceFailed as failure:
        raise click.ClickException(str(failure)) from failure


def _require_packages() -> None:
    if any(importlib.util.find_spec(name) is None for name in _IMPORTED):
        raise click.ClickException(f"the service needs packages that are missing: pip install {NEEDED}")


def _check(host: str | None, port: int | None) -> None:
    _require_packages()
    from app.api.probe import is_ready
    from app.api.settings import read_settings

    settings = read_settings(host=host, port=port)
    if not is_ready(settings.host, settings.port):
        raise click.ClickException(f"no service is ready on port {settings.port} of {settings.host}")
