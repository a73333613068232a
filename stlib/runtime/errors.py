"""Errors of the torch-free runtime.

::

    ModelError
    ├── ModelNotFoundError      (also FileNotFoundError)  no such model folder
    ├── MissingModelFileError   (also FileNotFoundError)  the folder lacks a file it needs
    ├── InvalidModelError       (also ValueError)         a file is there but its content is wrong
    ├── UnsupportedModelError   (also ValueError)         a sound model of a kind the runtime cannot run
    ├── MissingDependencyError  (also ImportError)        a package that this model needs is not installed
    ├── UnknownPromptError      (also ValueError)         ``prompt_name`` is not one of the model's prompts
    └── UnknownTaskError        (also ValueError)         no route of the model fits ``task``

Each also derives from the built-in error a caller would expect, so code that knows nothing of this
package can still catch it.
"""

from __future__ import annotations


class ModelError(Exception):
    """Base class of everything the runtime raises about a model."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """The model's folder does not exist."""


class MissingModelFileError(ModelError, FileNotFoundError):
    """The model's folder exists but a required file in it does not."""


class InvalidModelError(ModelError, ValueError):
    """A model file exists but cannot be read or contradicts another file."""


class UnsupportedModelError(ModelError, ValueError):
    """The model is of a kind that needs more than the runtime has (for example torch weights)."""


class MissingDependencyError(ModelError, ImportError):
    """A package that runs this kind of model is not installed; the message names the extra."""


class UnknownPromptError(ModelError, ValueError):
    """The requested prompt name is not defined by the model."""


class UnknownTaskError(ModelError, ValueError):
    """The model has a route per task, and none for the requested one."""
