"""Kinds of input: telling them apart, reading their files, and bringing a batch into a processor's form."""

from stlib.base.modality.formatter import InputFormatter
from stlib.base.modality.kinds import (
    MEDIA_SUFFIXES,
    MODALITIES,
    MessageDict,
    format_modality,
    infer_batch_modality,
    infer_modality,
    is_audio_url_or_path,
    is_frames,
    is_image_url_or_path,
    is_message_dict,
    is_url,
    is_video_url_or_path,
    raise_unsupported_modality_error,
)

__all__ = [
    "MEDIA_SUFFIXES",
    "MODALITIES",
    "InputFormatter",
    "MessageDict",
    "format_modality",
    "infer_batch_modality",
    "infer_modality",
    "is_audio_url_or_path",
    "is_frames",
    "is_image_url_or_path",
    "is_message_dict",
    "is_url",
    "is_video_url_or_path",
    "raise_unsupported_modality_error",
]
