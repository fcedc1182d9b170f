"""What the CPI and the agent have to agree on about a disk."""

from __future__ import annotations

# A disk's content as the agent sees it: a folder of the disk file's name with this suffix, beside it.
DATA_SUFFIX = ".data"
