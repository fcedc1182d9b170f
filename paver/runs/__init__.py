"""One run: what is wished for, where its files lie, who holds the lock, which station acts, how it is followed.

`compose` puts the wish together, `session` opens the world, `folder` keeps a run's files, `apply` carries a
plan through both stations, `handoff` reaches the other one, `events` is what a live view is told.
"""
