"""Sessions with a reading and a writing face: vSphere, machines, jobs, HTTP, S3, and the tunnels between.

Each endpoint has a frozen `…Connector` with `connect(Wire)`. Its connection gives a reading face, which cannot
write, and a writing face, whose every write passes a gate first. Heavy libraries are imported on first use.
"""
