"""A service that is asked over HTTP by a page: `stlib ui --server URL`."""
