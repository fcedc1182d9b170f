"""What stands on any IaaS: director, deployments, CredHub, Concourse, object store, registry, contract.

`paving.pave` gives the wish, of `paving.KINDS`; `PHASES` are its labels.
"""

PHASES = ("bucc", "services", "handover")
