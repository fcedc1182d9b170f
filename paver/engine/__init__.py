"""The engine: wish, world, plan, act, proof. It knows no IaaS and opens no socket.

`resource` says what a resource is, `values` how values flow between resources, `graph` in which order,
`diff` what differs, `planner` turns wish and world into a `plan`, `scheduler` says what may start now,
`executor` holds the act to the plan, `journal` keeps the evidence, `world` hands out sessions.
"""
