"""Which commands only read: the allow-list of a machine's reading face.

A probe is a program whose arguments were looked at too: `ss` lists sockets, `ss -K` kills them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Rule = Callable[[Sequence[str]], bool]


def _any(_: Sequence[str]) -> bool:
    return True


def _verbs(*verbs: str) -> Rule:
    def rule(arguments: Sequence[str]) -> bool:
        words = [word for word in arguments if not word.startswith("-")]
        return bool(words) and words[0] in verbs

    return rule


def _only(*flags: str) -> Rule:
    return lambda arguments: bool(arguments) and all(argument in flags for argument in arguments)


def _without(*flags: str) -> Rule:
    return lambda arguments: not any(argument.split("=")[0] in flags for argument in arguments)


def _ss(arguments: Sequence[str]) -> bool:
    return not any(
        word in ("--kill", "--diag", "--filter")
        or (word[:1] == "-" and word[1:2] != "-" and set("KDF") & set(word))
        for word in arguments
    )


def _ip(arguments: Sequence[str]) -> bool:
    words = list(arguments)
    while words and words[0] in ("-j", "-4", "-6", "-o", "-d", "-br", "-json", "-brief"):
        words.pop(0)
    known = {"a", "addr", "address", "r", "route", "link", "neigh", "neighbour", "rule"}
    return bool(words) and words[0] in known and (len(words) == 1 or words[1] in ("show", "list", "get"))


_VERSION = _only("--version", "version", "-V", "-v")

PROBES: Mapping[str, Rule] = {
    "bosh": _VERSION,
    "bucc": _VERSION,
    "cat": _any,
    "chronyc": _verbs("tracking", "sources", "sourcestats", "activity"),
    "date": lambda arguments: all(
        argument.startswith("+") or argument in ("-u", "--utc") for argument in arguments
    ),
    "df": _any,
    "dig": _any,
    "dnsmasq": lambda arguments: "--test" in arguments or list(arguments) == ["--version"],
    "du": _any,
    "find": _without(
        "-delete", "-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fprint0", "-fprintf", "-fls"
    ),
    "findmnt": _any,
    "getent": _any,
    "head": _any,
    "id": _any,
    "ip": _ip,
    "ls": _any,
    "md5sum": _any,
    "nproc": _any,
    "paver": _VERSION,
    "readlink": _any,
    "sha1sum": _any,
    "sha256sum": _any,
    "ss": _ss,
    "stat": _any,
    "systemctl": _verbs("is-active", "is-enabled", "is-failed", "show", "status", "cat", "list-units"),
    "tail": _any,
    "test": _any,
    "timedatectl": _verbs("show", "status", "show-timesync"),
    "uname": _any,
    "wc": _any,
}


def reads(argv: Sequence[str]) -> bool:
    """Tells whether a program with these arguments is known to read only."""
    if not argv:
        return False
    rule = PROBES.get(argv[0].rpartition("/")[2])
    return rule is not None and rule(argv[1:])
