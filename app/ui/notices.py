"""What went wrong, as a sentence on the page: never a traceback, and never nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

import streamlit as st

from app.text import without_milvus
from app.ui import markup
from app.ui.outside import as_label
from indexing.errors import IndexingError, MilvusFailed

__all__ = ["draw_notices", "safely", "sentences", "tell"]

logger = logging.getLogger(__name__)

_NOTICES = "notices"


@contextmanager
def sentences() -> Iterator[None]:
    """Whatever the body raises is shown where it would have drawn, and ends it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the last one to catch it: a traceback is no sentence
        st.html(markup.failure(_sentence(error)))


def safely(callback: Callable[..., Any]) -> Callable[..., None]:
    """`callback` of a widget whose failure is shown above the page that is drawn next."""

    @wraps(callback)
    def called(*args: Any, **kwargs: Any) -> None:
        try:
            callback(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as above; a callback has nowhere to draw
            st.session_state.setdefault(_NOTICES, []).append((False, _sentence(error)))

    return called


def tell(message: str) -> None:
    """Show `message` above the page that is drawn next, as something that went well."""
    st.session_state.setdefault(_NOTICES, []).append((True, message))


def draw_notices() -> None:
    """What callbacks had to say, once."""
    with st.container():  # there without any notice too: what stands below keeps its place, and what is typed
        for good, message in st.session_state.pop(_NOTICES, []):
            if good:
                st.toast(as_label(message), icon=":material/check:")
            else:
                st.html(markup.failure(message))


def _sentence(error: Exception) -> str:
    if isinstance(error, MilvusFailed):
        logger.warning("a page does without Milvus: %s", error)
    if isinstance(error, IndexingError):
        return cast("str", without_milvus(str(error)))
    logger.error("a page failed", exc_info=error)
    return (
        f"This could not be shown: an unforeseen {type(error).__name__}. The log of the server says where it"
        " happened; reload the page to try again."
    )
