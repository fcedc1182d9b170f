"""The sealed store: the only truth for secrets.

One file. Its **index** (names, versions, public parts, generation) is read without the key, so that a read-only
auditor gets the same plan; its values are opened with the key alone. `envelope` says what protects what, `store` is
what others call, `secret` keeps values out of logs, `redact` takes them out of text that tools wrote,
`passwords` has the rules that a password is made and checked by.
"""
