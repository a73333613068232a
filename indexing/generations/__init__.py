"""One way of turning documents into codes: build it, let it follow the log, drop it."""
