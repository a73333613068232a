"""The second half of a transformers module: what its model is given, and which of its outputs is read."""

from __future__ import annotations

from typing import Any

from stlib.errors import ModelConfigError

# Features that are for modules of this library or for the caller, or outputs of other modules.
_OWN_FEATURES = frozenset(
    {
        "modality",
        "task",
        "logits_are_pooled",
        "prompt_length",
        "num_images_per_sample",
        "num_videos_per_sample",
        "query_expansion_positions",
        "offset_mapping",
        "overflow_to_sample_mapping",
        "special_tokens_mask",
        "token_embeddings",
        "sentence_embedding",
        "all_layer_embeddings",
        "cls_token_embeddings",
        "token_weights_sum",
    }
)


def arguments_of(parameters: tuple[set[str], bool], given: dict[str, Any], anything: bool) -> dict[str, Any]:
    """Of the features, those that a method of the model takes.

    Args:
        parameters: names of the method's parameters, and whether it takes further keywords.
        given: features and keywords.
        anything: pass what the method does not name, if it takes further keywords; features that are not
            for a model only if it names them.
    """
    names, takes_more = parameters
    if takes_more and anything:
        return {key: value for key, value in given.items() if key in names or key not in _OWN_FEATURES}
    return {key: value for key, value in given.items() if key in names}


def with_sounds_in(dtype: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with sounds in the model's precision, which models of speech, unlike those of pictures,
    do not bring them to themselves.
    """
    sounds = {name: arguments[name] for name in ("input_features", "input_values") if name in arguments}
    if not sounds or not getattr(dtype, "is_floating_point", False):
        return arguments
    return {**arguments, **{name: value.to(dtype) for name, value in sounds.items()}}


def read_output(output: Any, path: str | list[str] | tuple[str, ...] | None) -> Any:
    """The tensor that ``path`` names among the outputs: one name, names that lead inwards, or None for the
    output itself. Maps of features ``[n, d, height, width]`` become tokens ``[n, height * width, d]``.

    Raises:
        ModelConfigError: there is no such output.
    """
    for name in (path,) if isinstance(path, str) else path or ():
        try:
            # Some outputs of transformers show their fields as attributes only.
            output = output[name] if not isinstance(name, str) or name in output else getattr(output, name)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            there = ", ".join(map(str, output)) if hasattr(output, "keys") else type(output).__name__
            raise ModelConfigError(
                f"the model gives no output {name!r}; it gives: {there}; set modality_config"
            ) from error
    return output.flatten(2).transpose(1, 2) if output.ndim == 4 else output
