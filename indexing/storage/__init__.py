"""Files, blocks, locks, paths."""
