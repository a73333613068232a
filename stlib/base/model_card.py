"""The README.md that is written beside a saved model: what it is and how to use it, nothing invented."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stlib.base.model import BaseModel

_CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- sentence-similarity
- feature-extraction
---

# {name}

This model maps a text to a vector of {dimension} dimensions. Vectors are compared by {similarity}.

- Maximum length: {length} tokens
- Modules:

```
{modules}
```

## Usage

```python
from stlib import SentenceTransformer

model = SentenceTransformer("{name}")
embeddings = model.encode(["How do I sort a list?", "sorted() returns a new sorted list."])
print(model.similarity(embeddings[0], embeddings[1]))
```
"""


def generate_model_card(model: BaseModel, name: str | None = None) -> str:
    """Text of a model card; a card that the model was loaded with is kept as it is."""
    if model.model_card_text:
        return model.model_card_text
    length = model.get_max_seq_length()
    return _CARD.format(
        name=name or "path/to/this/folder",
        dimension=getattr(model, "get_embedding_dimension", lambda: None)() or "?",
        similarity=f"{getattr(model, 'similarity_fn_name', 'cosine')} similarity",
        length=int(length) if length is not None and length < 1e9 else "any number of",
        modules=str(model),
    )
