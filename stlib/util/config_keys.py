"""Keys in a model's files that only a newer version knows."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

logger = logging.getLogger(__name__)

# Kinds of keywords in ``processing_kwargs``, of calls of a processor.
PROCESSING_GROUPS = ("common", "text", "audio", "image", "video", "chat_template")


def drop_unknown_keys(config: dict[str, Any], known: Collection[str], source: str) -> dict[str, Any]:
    """The configuration without keys that are unknown here, which a warning names.

    Args:
        config: what the file holds.
        known: keys that this version understands.
        source: the file, or a part of it, for the warning.
    """
    unknown = sorted(set(config) - set(known))
    if not unknown:
        return config
    logger.warning(
        "%s holds %s, which this version does not know; the model is built without it, and may give other "
        "values than where it was saved (known are: %s)",
        source,
        ", ".join(unknown),
        ", ".join(known),
    )
    return {key: value for key, value in config.items() if key in known}
