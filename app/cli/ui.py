"""`stlib ui`: the search page."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from click.core import ParameterSource

from app.cli.options import location_options
from app.cli.terminal import echo, warn
from app.facade.caller import RIGHTS_VARIABLE
from app.facade.roles import ROLES_VARIABLE
from app.settings import (
    HOST_VARIABLE,
    LOOPBACK,
    RERANK_VARIABLE,
    SERVER_KEY_FILE_VARIABLE,
    SERVER_KEY_VARIABLE,
    SERVER_VARIABLE,
    USER_HEADER_VARIABLE,
    Location,
    is_loopback,
)
from indexing.errors import BadInput
from indexing.names import BUNDLED_RERANKER

__all__ = ["command"]

_PORT = 8501


@click.command("ui")
@click.option(
    "--port", type=click.IntRange(1, 65535), help=f"Port. Default: {_PORT}, or a free one if it is taken."
)
@click.option(
    "--host",
    metavar="ADDRESS",
    envvar=HOST_VARIABLE,
    default=LOOPBACK,
    help=f"Listen here; all but {LOOPBACK} is for others too. Default: $STLIB_HOST, else {LOOPBACK}.",
)
@click.option("--check", is_flag=True, help="Start nothing: exit code 1 if no page answers on --port.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option(
    "--rerank",
    metavar="MODEL",
    envvar=RERANK_VARIABLE,
    help="Offer to re-order answers with this reranker: the folder of a cross-encoder, or a model name. "
    f"Default: $STLIB_RERANK, else {BUNDLED_RERANKER}.",
)
@click.option(
    "--server",
    metavar="URL",
    envvar=SERVER_VARIABLE,
    help="Show what a service has (`stlib serve`), in place of a home. Its key is $STLIB_SERVER_KEY, or in"
    " the file $STLIB_SERVER_KEY_FILE, or typed on the page. Default: $STLIB_SERVER, else a home.",
)
@location_options
def command(
    location: Location,
    port: int | None,
    host: str,
    check: bool,
    no_browser: bool,
    rerank: str | None,
    server: str | None,
) -> None:
    """Open the search page. It is served to this machine only, without --host; Ctrl-C stops it."""
    if check:
        _check(host, port or _PORT)
        return
    if server:
        _use_server(server)
    if rerank is not None:
        os.environ[RERANK_VARIABLE] = rerank  # the page runs in a process of its own
    serve(location, port=port, host=host, browser=not no_browser)


def serve(location: Location, *, port: int | None = None, host: str = LOOPBACK, browser: bool = True) -> None:
    """Serve the search page until Ctrl-C or SIGTERM.

    Raises:
        ClickException: Streamlit is missing, the port is taken, or the server ended.
    """
    from app.ui.server import ServerFailed, free_port, running_server

    if importlib.util.find_spec("streamlit") is None:
        raise click.ClickException('the search page needs Streamlit: pip install "streamlit>=1.52"')
    os.environ[HOST_VARIABLE] = host  # the page runs in a process of its own
    try:
        chosen = free_port(port or _PORT, host)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(f"--host {host}: this is no address of this machine: {error}") from error
    if port is not None and chosen != port:
        raise click.ClickException(f"port {port} of {host} is taken; leave --port away for a free one")
    if not is_loopback(host) and not os.environ.get(ROLES_VARIABLE):
        warn(
            f"stlib: note: whoever reaches {host} may use this page, and no sign-in stands before it:"
            f" {_remedy()}"
        )
    try:
        with _terminated_like_ctrl_c(), running_server(location, chosen) as (address, process):
            echo(f"Search page: {address}  (Ctrl-C stops it)")
            if browser and _has_display():
                click.launch(address)
            code = process.wait()
    except ServerFailed as failure:
        raise click.ClickException(str(failure)) from failure
    except KeyboardInterrupt:
        warn()
        return
    raise click.ClickException(f"the search page's server ended with code {code}; why stands above")


def _use_server(server: str) -> None:
    """
    Raises:
        ClickException: it cannot be, or something else is given that a service decides.
    """
    from app.remote.address import check_address, is_open

    chosen = click.get_current_context().get_parameter_source
    if given := [one for one in ("home", "db", "rerank") if chosen(one) == ParameterSource.COMMANDLINE]:
        raise click.UsageError(f"--server shows what a service has: leave --{given[0]} away")
    for variable in (RIGHTS_VARIABLE, USER_HEADER_VARIABLE):
        if os.environ.get(variable):
            raise click.UsageError(
                f"{variable} is for a page over a home; with --server a key says who its person is, and what"
                " they may do"
            )
    try:
        os.environ[SERVER_VARIABLE] = check_address(server)
    except BadInput as error:
        raise click.ClickException(f"--server: {error}") from error
    if is_open(server):
        warn(f"stlib: note: keys travel to {server} so that others on the way can read them: use https")


def _check(host: str, port: int) -> None:
    from app.ui.server import is_healthy

    if not is_healthy(host, port):
        raise click.ClickException(f"no page answers on port {port} of {host}")


def _remedy() -> str:
    """What limits visitors whom nobody knows."""
    if not os.environ.get(SERVER_VARIABLE):
        return "publish it behind a proxy that has one, and set STLIB_RIGHTS to what visitors may do"
    if os.environ.get(SERVER_KEY_VARIABLE) or os.environ.get(SERVER_KEY_FILE_VARIABLE):
        return f"all of them have the key of this page; let people sign in ({ROLES_VARIABLE})"
    return f"each needs a key of their own; let people sign in ({ROLES_VARIABLE}) to spare them that"


@contextmanager
def _terminated_like_ctrl_c() -> Iterator[None]:
    """SIGTERM would end this process at once and leave the server behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _has_display() -> bool:
    """False on servers and in containers, where opening a browser would end in a text browser or an error."""

    if sys.platform in ("darwin", "win32"):
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
