"""Import what builds a transformers model without packages that embeddings never use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from stlib.util.forks import ThreadLock

# Modules of transformers that every model class imports; the check in front of an import in them; and the
# function imported there, of assisted generation and of losses for object detection.
_DEFERRED = (
    ("transformers.generation.candidate_generator", "is_sklearn_available", "sklearn.metrics", "roc_curve"),
    ("transformers.loss.loss_utils", "is_scipy_available", "scipy.optimize", "linear_sum_assignment"),
)

# While one of the modules is imported, its check is another one for the whole process. A second thread that
# came here would take that for the true answer and go on to import models with it, hence the lock. Threads
# that do not come here can still see it: one that calls the check of ``transformers.utils`` meanwhile is told
# that scikit-learn or scipy is missing. Modules imported meanwhile by any thread get the true check back, but
# what they decided by calling it stays.
_LOCK = ThreadLock()


def import_transformers_lean() -> None:
    """Import modules of transformers such that scikit-learn and scipy are only imported once they are used.

    With pandas, which scikit-learn brings, these take a third of the time in which a process loads a model.
    Afterwards the modules are as transformers makes them, except that the two functions import their package
    when they are first called.
    """
    with _LOCK:
        for module, check, package, function in _DEFERRED:
            _import_deferring(module, check, package, function)


def _import_deferring(name: str, check: str, package: str, function: str) -> None:
    from transformers import utils

    is_available = getattr(utils, check, None)
    if name in sys.modules or package in sys.modules or is_available is None or not is_available():
        return
    before = set(sys.modules)
    setattr(utils, check, _not_yet)
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return  # another version of transformers
    finally:
        setattr(utils, check, is_available)
        for added in set(sys.modules) - before:
            contents = vars(sys.modules[added])
            if contents.get(check) is _not_yet:
                contents[check] = is_available
                contents[function] = _importing(package, function)


def _not_yet() -> bool:
    return False


def _importing(package: str, function: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(package), function)(*args, **kwargs)

    return call
