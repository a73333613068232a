"""Every error that stlib raises on purpose.

::

    StlibError
    ├── InvalidOption(ValueError)            an argument has a value outside what is allowed
    │   ├── UnknownKeyword                   a keyword that no module of the model takes
    │   ├── UnknownPrompt                    a prompt name that the model does not have
    │   ├── UnknownTask                      a task for which the model has no route
    │   └── UnsupportedOption                a valid option that this build or model cannot honour
    ├── InvalidInput(ValueError)             inputs to encode, search or quantise have the wrong form
    ├── ModelConfigError(ValueError)         a file of a model is damaged, or says what cannot be built
    │   └── WeightsMismatch                  weights and architecture do not fit together
    ├── UnsupportedModel(ValueError)         a sound model of a kind that this program cannot run
    ├── UntrustedCode(ValueError)            a model asks to run code and nobody allowed it
    ├── UnsafePath(ValueError)               a path inside a model leaves its folder
    ├── ModelNotFound(FileNotFoundError)     neither a folder, nor in the cache, nor to be downloaded
    │   └── NotAFolder(NotADirectoryError)   a file where the folder of a model belongs
    ├── MissingModelFile(FileNotFoundError, ValueError)  a wrong or half-downloaded folder
    ├── AlreadyImported(ImportError)         the package that stlib was to stand for is in use
    ├── MissingDependency(ImportError)       an optional package is needed; the message names it
    ├── UnusableAlone(AttributeError, NotImplementedError)  a loss that only works inside another one
    └── WorkerFailed(RuntimeError)           a process that encodes ended or failed

The built-in bases are what Sentence Transformers raises in the same situation, so ``except ValueError`` in a
user's script keeps working. :mod:`stlib.runtime` hands the same classes out under its own names.
"""

from __future__ import annotations


class StlibError(Exception):
    """Base of all errors that stlib raises on purpose."""


class InvalidOption(StlibError, ValueError):
    """An argument has a value outside what is allowed."""


class UnknownKeyword(InvalidOption):
    """A keyword argument that no module of the model takes."""


class UnknownPrompt(InvalidOption):
    """A prompt name that the model does not have."""


class UnknownTask(InvalidOption):
    """The model has a route per task, and none for the one that was asked for."""


class UnsupportedOption(InvalidOption):
    """A valid option that this build or this model cannot honour."""


class InvalidInput(StlibError, ValueError):
    """Inputs to encode, search or quantise have the wrong form."""


class ModelConfigError(StlibError, ValueError):
    """A file of a model cannot be read, contradicts another, or says something that cannot be built."""


class WeightsMismatch(ModelConfigError):
    """Weights and architecture do not fit together."""


class UnsupportedModel(StlibError, ValueError):
    """A sound model of a kind that needs more than there is (torch weights where there is no torch)."""


class UntrustedCode(StlibError, ValueError):
    """A model asks to run code that is not part of this library, and nobody allowed it."""


class UnsafePath(StlibError, ValueError):
    """A path inside a model folder leaves that folder."""


class ModelNotFound(StlibError, FileNotFoundError):
    """A model is neither a folder, nor in the cache, nor to be downloaded."""


class NotAFolder(ModelNotFound, NotADirectoryError):
    """A file where the folder of a model belongs."""


class MissingModelFile(StlibError, FileNotFoundError, ValueError):
    """A wrong or half-downloaded model folder lacks a file that it needs."""


class AlreadyImported(StlibError, ImportError):
    """The package that this library was to stand for is in use already."""


class MissingDependency(StlibError, ImportError):
    """An optional package is needed and not installed."""


class UnusableAlone(StlibError, AttributeError, NotImplementedError):
    """A loss was called by itself that only works inside another one."""


class WorkerFailed(StlibError, RuntimeError):
    """A process that encodes ended or failed."""
