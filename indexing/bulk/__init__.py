"""Bulk loads: a source is cut into shards, and these into pieces, which many processes bring in at once."""
