"""The names that :mod:`stlib.runtime` has for errors of :mod:`stlib.errors`, where the tree is drawn.

``ModelError`` catches everything that the runtime raises on purpose.
"""

from stlib.errors import MissingDependency as MissingDependencyError
from stlib.errors import MissingModelFile as MissingModelFileError
from stlib.errors import ModelConfigError as InvalidModelError
from stlib.errors import ModelNotFound as ModelNotFoundError
from stlib.errors import StlibError as ModelError
from stlib.errors import UnknownPrompt as UnknownPromptError
from stlib.errors import UnknownTask as UnknownTaskError
from stlib.errors import UnsupportedModel as UnsupportedModelError

__all__ = [
    "InvalidModelError",
    "MissingDependencyError",
    "MissingModelFileError",
    "ModelError",
    "ModelNotFoundError",
    "UnknownPromptError",
    "UnknownTaskError",
    "UnsupportedModelError",
]
