"""Trust: authorities, certificates, key pairs and passwords as resources, sealed as they are made.

`paving.pave` gives the wish, of `paving.KINDS`; `PHASES` are its labels.
"""

PHASES = ("trust",)
