"""The query plan, one small file per step: retrieve, fuse, filter, rescore, snippets."""
