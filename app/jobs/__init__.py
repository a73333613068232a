"""Long work in processes of its own, with its state in one table beside the collections.

`worker` is such a process and says how a dead one is noticed, `table` holds every statement, `queue` decides
what may start, `kinds` are what jobs do. Whoever wants one calls `app.facade.jobs`.
"""
