"""paver secrets: in by prompt or pipe, out on a terminal only, never an argument."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path

import pytest

from paver.cli import entry, secrets
from paver.driver import Material, Paved
from paver.drivers import vsphere
from paver.errors import Refused
from paver.foundation import paving
from paver.runs import compose, wayback
from paver.runs.folder import SiteFolder
from paver.runs.session import Session
from paver.sealed import store
from paver.sitefile.init import init_text
from tests.support.command import Command
from tests.support.ran import refused

VALUE = "Correct-Horse-9"


def pipe(site: Command, text: str) -> None:
    site.patch.setattr(sys, "stdin", io.StringIO(text))


def test_a_value_comes_from_a_pipe_and_is_shown_only_where_it_is_asked_for(site: Command) -> None:
    pipe(site, f"{VALUE}\n")
    assert "kept" in site.fine("secrets", "set", "esx-root").out
    assert VALUE not in (site.folder / "lab-north.sealed").read_text()
    ran = site.run("secrets", "show", "esx-root")
    assert ran.code == 4
    assert VALUE not in ran.out + ran.err
    assert site.fine("secrets", "show", "esx-root", "--force").out == VALUE


def test_a_value_is_asked_for_twice_on_a_terminal(site: Command) -> None:
    site.terminal(VALUE, "something else")
    assert site.run("secrets", "set", "esx-root").code == 3
    site.terminal(VALUE, VALUE)
    site.fine("secrets", "set", "esx-root")


@pytest.mark.parametrize("verb", ["set", "generate"])
def test_what_is_no_name_is_refused_before_a_value_is_asked_for_or_advice_is_given(
    site: Command, verb: str
) -> None:
    site.patch.setattr(secrets, "_wanted", lambda *_: frozenset({"hafen-root"}))
    site.terminal()
    ran = site.run("secrets", verb, "Hafen Root")
    refused(ran, 3, "this is no name for a secret")
    assert "takes it out again" not in ran.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("set", "esx-root", VALUE), "a value is never an argument"),
        (("set", "esx-root", VALUE, "--json"), "a value is never an argument"),
        (("generate", "esx-root", VALUE), "a value is never an argument"),
        (("set", "esx-root", f"--value={VALUE}"), "has no such option"),
        (("set", "esx-root", "--polcy", VALUE), "did you mean --policy?"),
        (("set", "esx-root", "--yes", VALUE), "`paver secrets remove` takes --yes"),
        (("remove", "esx-root", f"-y{VALUE}"), "takes no value"),
        (("set", "esx-root", ""), "a value is never an argument"),
    ],
)
def test_a_value_is_never_an_argument_and_one_that_is_given_so_is_not_repeated(
    site: Command, argv: tuple[str, ...], says: str
) -> None:
    ran = site.run("secrets", *argv)
    assert ran.code == 3
    assert says in ran.err
    assert VALUE not in ran.told
    if "takes --yes" not in says:
        assert "pipe it in, or wait to be asked; if this was a real one, change it" in ran.err


def test_the_list_has_names_versions_and_makers_and_no_value(site: Command) -> None:
    pipe(site, VALUE)
    site.fine("secrets", "set", "esx-root")
    site.fine("apply", "--yes")
    ran = site.fine("secrets")
    assert "esx-root  given" in ran.out
    assert "authority" in ran.out
    assert VALUE not in ran.out
    found = site.fine("secrets", "list", "--json").json
    root = next(one for one in found["secrets"] if one["name"] == "root")
    assert root["what"] == "authority"
    assert root["made_by"] == "paver"
    assert root["not_after"]


def test_what_the_site_file_refers_to_and_the_store_lacks_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = init_text(vsphere.DRIVER, "lab-north").replace("/etc/paver/site.key", "site.key")
    Path("site.yml").write_text(text)
    assert entry.main(["secrets", "init"]) == 0
    assert "  next  paver secrets set esx-root\n" in capsys.readouterr().out
    assert entry.main(["secrets", "list"]) == 0
    empty, identity, missing = capsys.readouterr().out.splitlines()
    assert (empty, missing) == ("the sealed store is empty", "missing: `paver secrets set esx-root`")
    assert entry.main(["secrets", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["missing"] == ["esx-root"]
    # What an auditor without the key holds the store to.
    assert found["identity"] == store.open_index(Path("lab-north.sealed")).store
    assert identity == f"identity {found['identity']}, generation {found['generation']}"
    for argv in (["set", "esx-rot"], ["generate", "esx-roots"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO(VALUE))
        assert entry.main(["secrets", *argv]) == 0
        told = f"nothing in the site file refers to secret:{argv[1]}; did you mean esx-root?"
        assert told in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO(VALUE))
    assert entry.main(["secrets", "set", "secret:esx-root"]) == 3
    assert "take esx-root, as the store calls it" in capsys.readouterr().err
    assert entry.main(["secrets", "set", "esx-root"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert entry.main(["secrets", "list"]) == 0
    assert "missing" not in capsys.readouterr().out
    Path("site.key").rename("elsewhere")
    assert entry.main(["secrets", "show", "esx-root", "--force"]) == 3
    assert "bring it back from its copy" in capsys.readouterr().err
    Path("site.yml").write_text(text + "trust: {extra_roots: [none.pem]}\n")
    assert entry.main(["secrets", "list"]) == 0


def test_a_policy_refuses_without_telling_the_value(site: Command) -> None:
    pipe(site, "short")
    ran = site.run("secrets", "set", "sso", "--policy", "vcenter")
    assert ran.code == 3
    assert "characters" in ran.err
    assert "short" not in ran.err


def test_what_paver_would_make_may_be_put_in_by_hand_and_is_kept(site: Command) -> None:
    wanted = Paved(material=(Material(kind="password", name="vcenter-sso", policy="vcenter"),))
    site.patch.setattr(paving, "pave", lambda _site, _under: wanted)
    pipe(site, "weak")
    assert site.run("secrets", "set", "vcenter-sso").code == 3
    pipe(site, VALUE)
    site.fine("secrets", "set", "vcenter-sso")
    site.fine("apply", "--yes")
    assert site.fine("secrets", "show", "vcenter-sso", "--force").out == VALUE
    assert site.run("secrets", "set", "root").code == 3


def test_a_policy_of_the_command_line_takes_nothing_that_the_sites_own_refuses(site: Command) -> None:
    wanted = Paved(material=(Material(kind="password", name="object-store-root", policy="s3"),))
    site.patch.setattr(paving, "pave", lambda _site, _under: wanted)
    pipe(site, "Abcdefgh$1234")
    ran = site.run("secrets", "set", "object-store-root", "--policy", "generic")
    assert ran.code == 3
    assert "is refused by the policy s3" in ran.err
    assert "the script that starts MinIO" in ran.err
    assert "$1234" not in ran.err
    pipe(site, "Abcdefgh-1234")
    site.fine("secrets", "set", "object-store-root", "--policy", "generic")
    pipe(site, "Abcd-123")
    assert site.run("secrets", "set", "object-store-root", "--policy", "generic").code == 3


def test_a_password_of_the_registry_that_its_release_would_make_another_of_is_refused(site: Command) -> None:
    def wanted(brought: str) -> Paved:
        return Paved(material=(Material(kind="password", name="registry-admin", brought=brought),))

    site.patch.setattr(paving, "pave", lambda _site, _under: wanted(""))
    site.fine("apply", "--yes", "--phase", "trust")
    site.patch.setattr(paving, "pave", lambda _site, _under: wanted("registry"))
    assert "nothing to do" in site.fine("apply", "--yes", "--phase", "trust").out, "the one that stands fits"
    pipe(site, "Abcdefgh:1234")
    ran = site.run("secrets", "set", "registry-admin")
    assert ran.code == 3
    assert "is refused by the policy registry" in ran.err
    assert "nginx" in ran.err
    pipe(site, "Abcdefgh-1234")
    site.fine("secrets", "set", "registry-admin")
    assert "nothing to do" in site.fine("apply", "--yes", "--phase", "trust").out


def test_what_paver_makes_is_made_anew_under_its_own_policy_and_stays_its_own(site: Command) -> None:
    wanted = Paved(material=(Material(kind="password", name="vcenter-sso", policy="vcenter"),))
    site.patch.setattr(paving, "pave", lambda _site, _under: wanted)
    site.fine("apply", "--yes")
    first = site.fine("secrets", "show", "vcenter-sso", "--force").out
    ran = site.fine("secrets", "generate", "vcenter-sso", "--replace")
    assert "under the policy vcenter" in ran.out
    assert "`paver plan` shows whom paver brings it to" in ran.out
    assert "nothing to do" in site.fine("plan").out
    assert site.fine("secrets", "show", "vcenter-sso", "--force").out != first


def test_a_secret_is_generated_once_and_replaced_only_on_request(site: Command) -> None:
    site.fine("secrets", "generate", "cpi", "--policy", "vcenter")
    first = site.fine("secrets", "show", "cpi", "--force").out
    assert site.run("secrets", "generate", "cpi").code == 4
    ran = site.fine("secrets", "generate", "cpi", "--replace")
    assert "next" not in ran.out, "nothing in the site file uses it"
    assert site.fine("secrets", "show", "cpi", "--force").out != first


@pytest.mark.parametrize("verb", [("generate", "--replace"), ("remove",)])
def test_before_paver_locks_itself_out_it_says_how_both_sides_are_changed_and_asks(
    site: Command, verb: tuple[str, ...]
) -> None:
    """VCenter's own accounts: paver logs in by them, and changes none."""
    site.site.write_text(init_text(vsphere.DRIVER, "lab-north").replace("/etc/paver/site.key", "site.key"))
    site.patch.setattr(compose, "drivers", lambda: {"vsphere": vsphere.DRIVER})
    name = "vcenter-administrator"
    site.fine("secrets", "generate", name)
    first = site.fine("secrets", "show", name, "--force").out
    argv = ("secrets", verb[0], name, *verb[1:])
    ran = site.run(*argv)
    refused(ran, 4, "confirm", "paver gets in no more", "in vCenter", f"`paver secrets set {name}`", "--yes")
    site.terminal("yes")
    ran = site.run(*argv)
    assert f"then `paver secrets set {name}` and `paver apply`" in ran.err
    assert ran.code == 4
    assert site.fine("secrets", "show", name, "--force").out == first
    site.terminal(name)
    site.fine(*argv)
    pipe(site, VALUE)
    site.fine("secrets", "set", "esx-root")
    pipe(site, "")
    assert site.run("secrets", "generate", "esx-root", "--replace").code == 4
    ran = site.fine("secrets", "generate", "esx-root", "--replace", "--yes")
    assert "next  set this one where it is asked for: paver brings it nowhere" in ran.out
    assert "`paver plan`" not in ran.out
    site.fine("secrets", "generate", "vcenter-cpi")
    ran = site.fine("secrets", "generate", "vcenter-cpi", "--replace")
    assert "`paver plan` shows whom paver brings it to" in ran.out


def test_removing_asks_for_the_name(site: Command) -> None:
    site.fine("secrets", "generate", "cpi")
    assert site.run("secrets", "remove", "cpi").code == 4
    site.terminal("yes")
    assert site.run("secrets", "remove", "cpi").code == 4
    site.terminal("cpi")
    site.fine("secrets", "remove", "cpi")
    assert site.run("secrets", "remove", "cpi", "-y").code == 3


def test_a_store_that_was_rekeyed_opens_with_the_new_key_alone(site: Command) -> None:
    site.fine("secrets", "generate", "cpi")
    ran = site.fine("secrets", "rekey", "--new-key", "file:new.key")
    assert "secrets: {key: file:new.key}" in ran.out
    assert site.run("secrets", "show", "cpi", "--force").code == 3
    site.fine("secrets", "show", "cpi", "--force", "--key", "file:new.key")


def test_a_new_key_in_the_users_home_is_made_there(site: Command) -> None:
    home = site.folder / "home"
    home.mkdir()
    site.patch.setenv("HOME", str(home))
    site.fine("secrets", "rekey", "--new-key", "file:~/x.key")
    assert stat.S_IMODE((home / "x.key").stat().st_mode) == 0o600
    assert not (site.folder / "~").exists()
    site.fine("secrets", "generate", "cpi", "--key", "file:~/x.key")


def test_after_a_rekey_to_a_passphrase_out_of_a_file_the_site_file_as_advised_opens_the_store(
    site: Command,
) -> None:
    words = "a long enough passphrase"
    (site.folder / "words").touch(0o600)
    (site.folder / "words").write_text(f"{words}\n")
    site.fine("secrets", "generate", "cpi")
    ran = site.fine("secrets", "rekey", "--new-key", f"passphrase-file:{site.folder}/words")
    assert "secrets: {key: passphrase}" in ran.out
    text = site.site.read_text()
    site.site.write_text(text.replace("secrets: {key: file:site.key}", "secrets: {key: passphrase}"))
    site.terminal(words)
    site.fine("secrets", "show", "cpi", "--force")


def test_the_key_file_is_its_owners_alone_and_a_store_is_made_once(site: Command) -> None:
    assert stat.S_IMODE((site.folder / "site.key").stat().st_mode) == 0o600
    ran = site.run("secrets", "init")
    assert ran.code == 4


@pytest.mark.parametrize(
    "verb",
    [
        ("secrets", "list"),
        ("secrets", "init"),
        ("secrets", "set", "esx-root"),
        ("secrets", "generate", "cpi"),
        ("secrets", "rekey", "--new-key", "file:new.key"),
        ("plan",),
        ("apply", "--yes"),
        ("status", "--quick"),
    ],
)
def test_a_store_that_was_seen_and_is_not_there_is_missed_and_no_empty_one_takes_its_place(
    site: Command, verb: tuple[str, ...]
) -> None:
    site.fine("secrets", "generate", "cpi")
    path, away = site.folder / "lab-north.sealed", site.folder / "away"
    found = store.open_index(path)
    path.rename(away)
    memory = site.folder / ".paver" / "lab-north" / "sealed.seen"
    before = memory.read_bytes()
    pipe(site, VALUE)
    seen = f"identity {found.store}, generation {found.generation}"
    there = "/var/lib/paver/sites/<site>/site.sealed"
    refused(site.run(*verb), 4, "lab-north.sealed is not there", seen, "bring it back", there, str(memory))
    assert not path.exists()
    assert memory.read_bytes() == before
    away.rename(path)
    site.fine("secrets", "show", "cpi", "--force")


def test_whoever_begins_anew_on_purpose_removes_what_is_remembered(site: Command) -> None:
    (site.folder / "lab-north.sealed").unlink()
    assert site.run("secrets", "init").code == 4
    (site.folder / ".paver" / "lab-north" / "sealed.seen").unlink()
    site.fine("secrets", "init")
    site.fine("secrets", "generate", "cpi")


def test_a_store_that_is_made_beside_the_sites_own_has_nothing_of_it_forgotten(site: Command) -> None:
    site.fine("secrets", "generate", "cpi")
    site.fine("secrets", "init", "--sealed", "second.sealed")
    site.fine("secrets", "generate", "other", "--sealed", "second.sealed")
    site.fine("secrets", "show", "cpi", "--force")
    Path("second.sealed").unlink()
    refused(site.run("secrets", "init", "--sealed", "second.sealed"), 4, "second.sealed is not there")
    Path("copy.sealed").write_bytes(Path("lab-north.sealed").read_bytes())
    site.fine("secrets", "show", "cpi", "--force", "--sealed", "copy.sealed")


def test_a_passphrase_opens_a_store_too(site: Command) -> None:
    site.terminal("a long enough passphrase", "a long enough passphrase")
    site.fine("secrets", "init", "--sealed", "other.sealed", "--key", "passphrase")
    site.terminal("a long enough passphrase")
    site.fine("secrets", "generate", "cpi", "--sealed", "other.sealed", "--key", "passphrase")
    site.terminal("not the right passphrase")
    ran = site.run("secrets", "show", "cpi", "--force", "--sealed", "other.sealed", "--key", "passphrase")
    assert ran.code == 3


WRITING = [
    ("set", "esx-root"),
    ("generate", "cpi"),
    ("remove", "cpi", "--yes"),
    ("rekey", "--new-key", "file:k"),
]


@pytest.mark.parametrize("verb", WRITING)
def test_nothing_is_sealed_while_a_run_is_at_work(site: Command, verb: tuple[str, ...]) -> None:
    before = (site.folder / "lab-north.sealed").read_bytes()
    with SiteFolder(site.folder / ".paver", "lab-north").locked("paver apply"):
        ran = site.run("secrets", *verb)
    assert ran.code == 4
    assert "another run is at work" in ran.err
    assert (site.folder / "lab-north.sealed").read_bytes() == before


@pytest.mark.parametrize("verb", WRITING)
def test_nothing_is_sealed_before_what_was_handed_over_to_the_jumpbox_is_settled(
    site: Command, verb: tuple[str, ...]
) -> None:
    def goes_on(session: Session, folder: Path) -> None:
        assert session.vault.opens
        raise Refused(f"what {folder.name} handed over goes on")

    site.patch.setattr(wayback, "settle", goes_on)
    pipe(site, VALUE)
    site.fine("secrets", "set", "esx-root")
    before = (site.folder / "lab-north.sealed").read_bytes()
    (site.folder / ".paver" / "lab-north" / "handed.json").write_text("{}")
    pipe(site, VALUE)
    refused(site.run("secrets", *verb), 4, "what lab-north handed over goes on")
    assert (site.folder / "lab-north.sealed").read_bytes() == before
