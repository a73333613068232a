"""From documents to committed codes: read, chunk, embed, quantise, commit."""
