"""The HTTP service: what `app.facade` does, for programs. `stlib serve` starts it.

`app` puts it together; `gate` is what every request passes first (who comes, from where, how much and how
fast); `routes` has one file for each group of addresses; `supervisor` and `worker` are its processes.
"""
