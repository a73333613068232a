"""Errors of the torch-free runtime.

::

    ModelError
    ├── ModelNotFoundError      (also FileNotFoundError)  no such model folder
    ├── MissingModelFileError   (also FileNotFoundError)  the folder lacks a file it needs
    ├── InvalidModelError       (also ValueError)         a file is there but its content is wrong
    ├── UnsupportedModelError   (also ValueError)         a sound model of a kind the runtime cannot run
    └── UnknownPromptError      (also ValueError)         ``prompt_name`` is not one of the model's prompts

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
    """The model is of a kind that needs more than token vectors (for example a transformer)."""


class UnknownPromptError(ModelError, ValueError):
    """The requested prompt name is not defined by the model."""
