"""Older ways to call methods."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from stlib.util.older_names import tell_older_name

F = TypeVar("F", bound=Callable[..., Any])


def save_to_hub_args_decorator(func: F) -> F:
    """Let ``save_to_hub`` be called as before it had ``repo_id`` and ``token``.

    ``repo_name=`` is taken for ``repo_id``, and positional arguments after the second one are those of the
    time before ``token`` was third.
    """

    @functools.wraps(func)
    def with_older_arguments(self: Any, *args: Any, **kwargs: Any) -> Any:
        repo_name = kwargs.pop("repo_name", None)
        if repo_name and "repo_id" not in kwargs:
            tell_older_name("save_to_hub", "repo_name", "repo_id")
            kwargs["repo_id"] = repo_name
        if len(args) > 2:
            args = (*args[:2], None, *args[2:])
        return func(self, *args, **kwargs)

    return with_older_arguments  # type: ignore[return-value]
