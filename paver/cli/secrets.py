"""`paver secrets`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from paver.cli import opening, out, parsers
from paver.errors import BadInput, Refused, nearest, unwritten

if TYPE_CHECKING:
    from paver.driver import Driver
    from paver.sealed.index import Index
    from paver.sealed.keys import KeySource
    from paver.sitefile.site import Site
    from paver.trust.vault import Vault

PARSER = parsers.Discreet

EXAMPLES = """\
examples:
  paver secrets init                       make the key file and an empty store
  paver secrets set esx-root               asks for the value, twice
  pass show esx | paver secrets set esx-root
  paver secrets list                       names, versions, who made them, what expires; never values
  paver secrets show vcenter-root          one value, on a terminal only
  paver secrets generate vcenter-cpi --replace
  paver secrets rekey --new-key file:/etc/paver/site.key.new

A value is never an argument: every process of the machine could read it there.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the subcommands; without one, the secrets are listed."""
    verbs = parser.add_subparsers(dest="secrets_verb", metavar="DO")
    _sub(verbs, "init", "make the key file, if there is none, and an empty store")
    setting = _sub(verbs, "set", "put a value in: asked for on a terminal, or read from standard input")
    setting.add_argument("name", help="what the site file calls it, without `secret:`")
    setting.add_argument("--policy", metavar="POLICY", help="refuse a password that this policy refuses")
    listing = _sub(verbs, "list", "names, versions, who made them, what expires")
    listing.add_argument("--json", action="store_true", help="print it as JSON")
    showing = _sub(verbs, "show", "print one value")
    showing.add_argument("name", help="of the secret")
    showing.add_argument("--force", action="store_true", help="also where standard output is no terminal")
    removing = _sub(verbs, "remove", "remove a secret with all its versions")
    removing.add_argument("name", help="of the secret")
    removing.add_argument("-y", "--yes", action="store_true", help="do not ask")
    rekeying = _sub(verbs, "rekey", "seal the store under another key")
    rekeying.add_argument(
        "--new-key",
        required=True,
        metavar="SOURCE",
        help="file:<path> (made if it is not there), passphrase (asked for) or passphrase-file:<path>; a path is "
        "relative to the site file's folder",
    )
    making = _sub(verbs, "generate", "make a password and keep it")
    making.add_argument("name", help="of the secret")
    making.add_argument(
        "--policy", metavar="POLICY", help="(default: what the site has for this secret, else generic)"
    )
    making.add_argument("--replace", action="store_true", help="also where there is one already")
    making.add_argument(
        "-y", "--yes", action="store_true", help="do not ask, where paver does not bring it to its users"
    )


def _sub(verbs: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser = parsers.below(verbs, "paver secrets", name, what, EXAMPLES)
    opening.add_site(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Runs the subcommand."""
    verb = arguments.secrets_verb
    if verb is None:
        defaults = {"site": None, "key": None, "sealed": None, "json": False}
        arguments = argparse.Namespace(**{**defaults, **vars(arguments)})
        verb = "list"
    site, driver = opening.site_of(arguments, warn=False)
    if getattr(arguments, "name", "").startswith("secret:"):
        raise BadInput(
            f"{arguments.name} is a reference, not a name",
            do=f"take {arguments.name.removeprefix('secret:')}, as the store calls it",
        )
    if verb in {"set", "generate"}:
        from paver.sealed.index import checked_name  # noqa: PLC0415 - `--help` does without it

        # Before a value is asked for, and before advice that it is there.
        checked_name(arguments.name)
    if verb == "init":
        return _init(arguments, site, driver)
    if verb == "list":
        return _list(arguments, site, driver)
    if verb == "show":
        return _show(arguments, site)
    key = opening.needed_key(site, arguments.key, "to write it")
    who = f"paver secrets {verb}"
    # Also while a run has handed the store over and lets go of its lock: two copies would go different ways.
    with opening.locked(arguments, site, who):
        opening.settle(arguments, site, driver, key, who)
        with _vault(arguments, site, key, who) as vault:
            if verb == "set":
                return _set(arguments, vault, site, driver)
            if verb == "generate":
                return _generate(arguments, vault, site, driver)
            if verb == "rekey":
                return _rekey(arguments, vault, site)
            return _remove(arguments, vault, site, driver)


@contextlib.contextmanager
def _vault(arguments: argparse.Namespace, site: Site, key: KeySource | None, who: str) -> Iterator[Vault]:
    from paver.trust.vault import Vault  # noqa: PLC0415 - `--help` does without it

    path, memory = opening.sealed_of(arguments, site)
    vault = Vault(path, key, who, memory, named=site.secrets.key)
    try:
        yield vault
    finally:
        vault.close()


def _init(arguments: argparse.Namespace, site: Site, driver: Driver) -> int:
    from paver.sealed import keys, store  # noqa: PLC0415
    from paver.sealed.seen import Seen  # noqa: PLC0415

    path, memory = opening.sealed_of(arguments, site)
    if path.resolve() != site.sealed_file.resolve():
        # What is known of the site's own store stays known.
        memory = opening.folder_of(site).seen_aside(path)
    if path.exists():
        raise Refused(
            f"there is a sealed store at {path} already",
            why="it is never overwritten by an empty one",
            do="use it, or move it away",
        )
    Seen(memory).demand_none(path)
    reference = arguments.key or site.secrets.key
    key = _new_key(reference, site)
    index = store.create(path, key)
    Seen(memory).note(index)
    out.line(f"{path} is made: empty, generation {index.generation}")
    if isinstance(key, keys.KeyFile):
        out.line(f"  key   {key.path}: keep a copy elsewhere; without it nothing opens the store")
    out.lines(f"  next  paver secrets set {name}" for name in _missing(site, driver, index))
    return 0


def _missing(site: Site, driver: Driver, index: Index | None) -> list[str]:
    """Returns the secrets that the site file refers to, nobody makes, and the store does not have."""
    return sorted(_wanted(site, driver) - set(index.entries if index is not None else ()))


def _wanted(site: Site, driver: Driver) -> frozenset[str]:
    """Returns the secrets that the site file refers to and nobody makes.

    None is named as long as files that the site file names are missing, which `paver preflight` tells.
    """
    from paver.runs.compose import compose, given  # noqa: PLC0415 - only where the store is looked at

    try:
        return given(compose(site, driver))
    except BadInput:
        return frozenset()


def _new_key(reference: str, site: Site) -> KeySource:
    """Returns the source of a key for a new sealing; makes the key file where there is none."""
    from paver import own_files  # noqa: PLC0415
    from paver.sealed import keys  # noqa: PLC0415

    if reference == "passphrase":
        first = _ask_twice("passphrase of the sealed store")
        return keys.Passphrase(lambda: first)
    source = keys.key_source(reference, base=site.folder)
    if isinstance(source, keys.KeyFile) and not source.path.exists():
        try:
            own_files.folder(source.path.parent)
        except OSError as error:
            raise unwritten(error, f"the key file {source.path} can't be written", keys.ELSEWHERE) from error
        return keys.new_key_file(source.path)
    return source


def _set(arguments: argparse.Namespace, vault: Vault, site: Site, driver: Driver) -> int:
    from paver.sealed import passwords  # noqa: PLC0415

    wish = _wished(site, driver, arguments.name)
    # What the site's own refuses its user could not take: another one on the command line holds beside it.
    own = wish or {}
    policies = dict.fromkeys(filter(None, (own.get("policy"), own.get("brought"), arguments.policy)))
    value = _value(arguments.name)
    for policy in policies:
        wrong = passwords.check(policy, value)
        if wrong:
            raise BadInput(
                f"the value for {arguments.name} is refused by the policy {policy}",
                why="; ".join(wrong),
                do=f"take another one, or let `paver secrets generate {arguments.name} --policy {policy}` make it",
            )
    public: dict[str, Any] = {"policy": next(iter(policies))} if policies else {}
    _note_a_stranger(site, driver, arguments.name, wish)
    public |= _as_made(site, wish, "paver secrets set")
    writer = vault.writer()
    known = arguments.name in writer.index.entries
    version = writer.put(arguments.name, value, made_by="paver secrets set", public=public)
    out.line(f"{arguments.name}: {'a new version' if known else 'kept'}, {version[:12]}")
    return 0


def _note_a_stranger(site: Site, driver: Driver, name: str, wish: Mapping[str, str] | None) -> None:
    """Says so if the site file has no use for a secret of that name: most likely it is misspelt."""
    if wish is not None:
        return
    wanted = _wanted(site, driver)
    if name in wanted or not wanted:
        return
    near = nearest(name, sorted(wanted))
    hint = f"; did you mean {near}? `paver secrets remove {name}` takes it out again" if near else ""
    out.note(f"warning: nothing in the site file refers to secret:{name}{hint}")


def _as_made(site: Site, wish: dict[str, str] | None, by: str) -> dict[str, Any]:
    """Returns the public parts of what paver would make: with its mark, what was put in by hand counts as made."""
    from paver.driver import MARK_KEY, Mark, ResourceId  # noqa: PLC0415

    if wish is None:
        return {}
    mark = Mark(site.name, ResourceId(wish["id"]), by, complete=True)
    return {"policy": wish["policy"], MARK_KEY: mark.document()}


def _wished(site: Site, driver: Driver, name: str) -> dict[str, str] | None:
    """Returns id and policies of what paver would make under this name; None if the user has to give it."""
    from paver.runs.compose import compose  # noqa: PLC0415

    for resource in compose(site, driver).resources:
        kind, _, key = resource.id.partition(":")
        if not kind.startswith("trust.") or key != name:
            continue
        if kind != "trust.password":
            raise BadInput(
                f"{name} is made by paver ({kind.removeprefix('trust.')})",
                why="only passwords may be put in by hand",
                do="choose another name in the site file",
            )
        wish = resource.wish()
        return {"id": resource.id, "policy": str(wish["policy"]), "brought": str(wish["brought"])}
    return None


def _generate(arguments: argparse.Namespace, vault: Vault, site: Site, driver: Driver) -> int:
    from paver.sealed import passwords  # noqa: PLC0415

    wish = _wished(site, driver, arguments.name)
    policy = arguments.policy or (wish or {}).get("policy") or "generic"
    value = passwords.generate(policy)
    writer = vault.writer()
    known = arguments.name in writer.index.entries
    if known and not arguments.replace:
        raise Refused(
            f"the sealed store has a {arguments.name} already",
            why="whoever uses it would be locked out",
            do="give --replace; where paver brings it to its users, `paver plan` shows them, else change it there too",
        )
    where = _by_hand(site, driver, arguments.name) if known else ""
    if where:
        _confirm(
            arguments,
            "is to be another one in the sealed store alone",
            *_both_sides(arguments.name, where),
        )
    _note_a_stranger(site, driver, arguments.name, wish)
    by = "paver secrets generate"
    public = {"policy": policy, **_as_made(site, wish, by)}
    version = writer.put(arguments.name, value, made_by=by, public=public)
    out.line(f"{arguments.name}: made under the policy {policy}, {version[:12]}")
    if where:
        out.line(f"  next  set this one {where}: paver brings it nowhere")
    elif known and wish is not None:
        out.line("  next  `paver plan` shows whom paver brings it to")
    return 0


def _by_hand(site: Site, driver: Driver, name: str) -> str:
    """Returns where a secret is set that paver brings nowhere; nothing where paver brings it, or nothing uses it."""
    where = {item.name: item.by_hand for item in driver.pave(site).material}.get(name, "")
    return where or ("where it is asked for" if name in _wanted(site, driver) else "")


def _both_sides(name: str, where: str) -> tuple[str, str]:
    """Returns what comes of another secret in the store alone, and how both sides are changed."""
    why = (
        f"paver brings {name} nowhere: where it is asked for the former one stays, and paver gets in no more"
    )
    do = f"set another one {where}, then `paver secrets set {name}` and `paver apply`"
    return why, f"{do}; --yes where it is in no use yet"


def _confirm(arguments: argparse.Namespace, what: str, why: str, do: str) -> None:
    """Asks for the secret's name.

    Raises:
        Refused: if it is not given, or nobody is there to give it.
    """
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"nobody is there to confirm that {arguments.name} {what}", why=why, do=do)
    if why:
        out.note(f"{why}\n  do    {do}")
    if opening.answer(f"{arguments.name} {what}? Type its name: ") != arguments.name:
        raise Refused("not confirmed", why="the answer is not the secret's name")


def _rekey(arguments: argparse.Namespace, vault: Vault, site: Site) -> int:
    from paver.sealed import keys  # noqa: PLC0415

    key = _new_key(arguments.new_key, site)
    vault.writer().rekey(key)
    out.line(f"{vault.path} opens with {arguments.new_key} from now on; older copies open with the old key")
    written = keys.for_site_file(arguments.new_key)
    if written != site.secrets.key:
        out.line(f"  next  write it into the site file: secrets: {{key: {written}}}")
    return 0


def _remove(arguments: argparse.Namespace, vault: Vault, site: Site, driver: Driver) -> int:
    writer = vault.writer()
    writer.index.entry(arguments.name)
    where = _by_hand(site, driver, arguments.name)
    why, do = _both_sides(arguments.name, where) if where else ("", "give --yes")
    _confirm(arguments, "goes with all its versions", why, do)
    writer.remove(arguments.name)
    out.line(f"{arguments.name}: removed")
    return 0


def _show(arguments: argparse.Namespace, site: Site) -> int:
    from paver.driver import Secret  # noqa: PLC0415

    if not sys.stdout.isatty() and not arguments.force:
        raise Refused(
            "a secret is shown on a terminal only",
            why="standard output is a pipe or a file",
            do="give --force if that is what you want",
        )
    key = opening.needed_key(site, arguments.key, "to show a value")
    with _vault(arguments, site, key, "paver secrets show") as vault:
        value = vault.reveal(Secret(arguments.name))
    sys.stdout.write(value)
    if sys.stdout.isatty() and not value.endswith("\n"):
        sys.stdout.write("\n")
    return 0


def _list(arguments: argparse.Namespace, site: Site, driver: Driver) -> int:
    from paver.report import words  # noqa: PLC0415
    from paver.report.table import table  # noqa: PLC0415
    from paver.runs import holdings  # noqa: PLC0415

    with _vault(arguments, site, None, "paver secrets list") as vault:
        found = vault.index()
    held = holdings.of(found)
    missing = _missing(site, driver, found)
    if arguments.json:
        out.document(
            "paver.secrets/1",
            holdings.Secrets(
                store=str(arguments.sealed or site.sealed_file),
                generation=found.generation if found is not None else None,
                identity=found.store if found is not None else None,
                missing=tuple(missing),
                secrets=tuple(held),
            ),
        )
        return 0
    if found is None:
        out.line("there is no sealed store yet: `paver secrets init` makes one")
        return 0
    if not held:
        out.line("the sealed store is empty")
    rows = [(one.name, one.what, one.version[:12], one.made_by, one.ends) for one in held]
    out.lines(
        table(("name", "what", "version", "made by", "ends"), rows, colour=out.colour(), width=out.width())
        if rows
        else ()
    )
    last = f"identity {found.store}, generation {found.generation}"
    for line in (last, *(f"missing: `paver secrets set {name}`" for name in missing)):
        out.lines(words.wrapped(line, out.width(), "  "))
    return 0


def _value(name: str) -> str:
    if sys.stdin.isatty():
        return _ask_twice(f"value of {name}")
    text = sys.stdin.read()
    # One newline at the end is the shell's; a key keeps its own lines.
    value = text[:-1] if text.endswith("\n") and text.count("\n") == 1 else text
    if not value:
        raise BadInput(f"there is no value for {name} on standard input")
    return value


def _ask_twice(what: str) -> str:
    first = opening.hidden(f"{what}: ")
    if opening.hidden(f"{what}, again: ") != first:
        raise BadInput("the two are not the same", do="try again")
    if not first:
        raise BadInput("an empty value is none")
    return first
