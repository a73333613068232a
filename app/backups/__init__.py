"""A collection with all that belongs to it: backed up, restored, copied."""
