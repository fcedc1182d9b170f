"""env, logs, contract's schema, init, schema, completion: what leaves paver for others."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import re
import shlex
import stat
import sys
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from paver import own_files
from paver.cli import reference
from paver.driver import Material, Output, Paved, ToolDoor, resource_id
from paver.drivers.vsphere import DRIVER
from paver.engine.offer import Port
from paver.engine.values import encode, substitute
from paver.foundation import paving, places, yaml_text
from paver.foundation.handover import document
from paver.runs import compose
from paver.runs.offers import doors
from paver.sealed import keys, store
from paver.sitefile.init import init_text
from paver.sitefile.load import loads
from paver.sitefile.site import Site
from tests.support.command import Command
from tests.support.memory import memory
from tests.support.ran import refused

DOCS = Path(__file__).parents[3] / "docs" / "reference"
NAMES = ("director-admin", "credhub-admin", "concourse-admin", "object-store-root")


@pytest.fixture
def demo() -> Site:
    return loads(
        init_text(DRIVER, "lab-north"), {"vsphere": DRIVER}, file="site.yml", folder=Path("/nowhere")
    )


@pytest.fixture
def paved(site: Command) -> Command:
    """A site with what a foundation would have sealed."""
    cas = tuple(places.authority(name) for name in places.CAS)
    given = tuple(Material(kind="password", name=name) for name in NAMES)
    site.patch.setattr(paving, "pave", lambda _site, _under: Paved(material=(*cas, *given)))
    site.fine("apply", "--yes", "--progress", "none")
    return site


def exported(text: str) -> dict[str, str]:
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("export ")]
    return dict(word.split("=", 1) for _, word in lines)


def test_a_shell_gets_what_bosh_credhub_fly_and_mc_need(paved: Command) -> None:
    found = exported(paved.fine("env").out)
    assert found["BOSH_ENVIRONMENT"] == "https://10.30.0.10:25555"
    secret = paved.fine("secrets", "show", "director-admin", "--force").out
    assert found["BOSH_CLIENT_SECRET"] == secret
    root = Path(found["BOSH_CA_CERT"])
    assert "BEGIN CERTIFICATE" in root.read_text()
    assert stat.S_IMODE(root.stat().st_mode) == 0o600
    assert Path(found["CREDHUB_CA_CERT"]).read_text().count("BEGIN CERTIFICATE") == 2
    key = paved.fine("secrets", "show", "object-store-root", "--force").out
    assert found["MC_HOST_site"] == f"https://paver-admin:{key}@objects.north.example:9000"
    assert (Path(found["MC_CONFIG_DIR"]) / "certs" / "CAs" / "site.pem").exists()


def test_on_a_terminal_secrets_are_left_out_unless_asked_for(
    paved: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = paved.fine("env").out
    assert "BOSH_CLIENT_SECRET holds a secret" in shown
    assert "BOSH_CLIENT_SECRET" not in exported(shown)
    assert "BOSH_CLIENT_SECRET" in exported(paved.fine("env", "--show").out)


def test_one_tool_can_be_asked_for_and_a_proxy_added(paved: Command) -> None:
    found = exported(paved.fine("env", "bosh", "--socks", "1080").out)
    assert set(found) == {
        "BOSH_ENVIRONMENT",
        "BOSH_CLIENT",
        "BOSH_CLIENT_SECRET",
        "BOSH_CA_CERT",
        "BOSH_ALL_PROXY",
    }
    assert found["BOSH_ALL_PROXY"] == "socks5://127.0.0.1:1080"
    assert paved.fine("env", "bosh", "--json").json["variables"]["BOSH_CLIENT"] == "admin"
    assert paved.run("env", "kubectl").code == 3


def test_a_tool_of_the_driver_is_asked_for_by_name_goes_through_the_proxy_and_is_named_at_a_runs_end(
    paved: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = ToolDoor(
        name="cloud", at="https://cloud.example", tool="aws", exports={"AWS_PROFILE": ("north",)}
    )
    monkeypatch.setattr(memory.MemoryDriver, "doors", lambda *_: [cloud], raising=False)
    found = exported(paved.fine("env", "aws", "--socks", "1080").out)
    assert found == {"AWS_PROFILE": "north", "HTTPS_PROXY": "socks5://127.0.0.1:1080"}
    assert exported(paved.fine("env").out)["AWS_PROFILE"] == "north"
    refused(paved.run("env", "govc"), 3, "paver knows no tool govc", "bosh, credhub, fly, mc, aws")
    assert paved.fine("completion", "bash", "--names", "tools").out.split()[-1] == "aws"
    paved.write(dials="{loud: 4}")
    assert 'eval "$(paver env)"   bosh, credhub, fly, mc, aws' in paved.fine("apply", "--yes").out


def test_what_does_not_stand_yet_is_said_and_nothing_exported(site: Command) -> None:
    ran = site.run("env")
    assert ran.code == 1
    assert "# bosh: bucc-default-ca, director-admin not in the sealed store yet" in ran.out
    assert "warning: bosh: bucc-default-ca, director-admin not in the sealed store yet\n" in ran.err
    assert exported(ran.out) == {}


def test_a_shell_that_evaluates_the_variables_hears_that_there_are_none(site: Command) -> None:
    assert site.run("env").out.endswith("\nfalse\n")
    assert site.run("env", "kubectl").out == "false\n"
    assert "variables" in site.run("env", "--json").json
    site.patch.setattr(sys.stdout, "isatty", lambda: True)
    ran = site.run("env")
    assert "false" not in ran.out
    assert "warning:" not in ran.err


def test_a_shell_that_evaluates_the_variables_goes_on_where_a_tool_can_be_used(paved: Command) -> None:
    assert "false" not in paved.fine("env").out.splitlines()


def test_variables_of_a_site_without_a_sealed_store_name_the_store_alone(site: Command) -> None:
    (site.folder / "lab-north.sealed").unlink()
    ran = site.run("env")
    assert (ran.code, ran.out) == (4, "false\n")
    assert "lab-north.sealed is not there, and was seen before" in ran.err
    (site.folder / ".paver" / "lab-north" / "sealed.seen").unlink()
    ran = site.run("env")
    assert ran.code == 1
    assert ran.err == "warning: site lab-north has no sealed store yet\n"
    assert ran.out == "# site lab-north has no sealed store yet\nfalse\n"


def test_a_bundle_for_support_holds_no_secret_in_any_form(paved: Command) -> None:
    values = [paved.fine("secrets", "show", name, "--force").out for name in NAMES]
    (folder,) = paved.runs
    # As if a vendor's tool had written them into its log, and a shell into the site file's comment.
    forms = [*values, *(base64.b64encode(f"admin:{value}".encode()).decode() for value in values)]
    forms += [base64.b64encode(value.encode()).decode() for value in values]
    (folder / "jumpbox.log").write_text("\n".join(f"tool said {form} and went on" for form in forms))
    for name in ("faults.txt", "faults-jumpbox.txt"):
        (folder / name).write_text(f"thing:a: KeyError\n  line 7, in create {values[0]}\n")
    paved.site.write_text(paved.site.read_text() + f"# {values[0]}\n")
    ran = paved.fine("logs", "--out", "case.tgz")
    assert "secrets taken out" in ran.out
    assert stat.S_IMODE((paved.folder / "case.tgz").stat().st_mode) == 0o600
    with tarfile.open(paved.folder / "case.tgz") as archive:
        members = {
            Path(member.name).name: handle.read().decode()
            for member in archive.getmembers()
            if (handle := archive.extractfile(member)) is not None
        }
    assert set(members) == {
        "about.json",
        "site.yml",
        "plan.json",
        "journal.jsonl",
        "events.jsonl",
        "jumpbox.log",
        "report.html",
        "faults.txt",
        "faults-jumpbox.txt",
    }
    everything = "\n".join(members.values())
    for form in forms:
        assert form not in everything
    assert "tool said" in members["jumpbox.log"]
    assert members["faults.txt"].startswith("thing:a: KeyError\n  line 7, in create")
    key = (paved.folder / "site.key").read_text().strip()
    assert key not in everything
    assert json.loads(members["about.json"])["runs"][0]["state"] == "done"


def test_a_bundle_has_the_journals_of_every_hand_off_and_nothing_that_is_not_pavers(paved: Command) -> None:
    (folder,) = paved.runs
    journals = ["journal-jumpbox-2.jsonl", "journal-jumpbox.jsonl", "journal.jsonl"]
    for name in (*journals[:2], "journal-of-mine.jsonl", "notes.txt"):
        (folder / name).write_text("{}\n")
    paved.fine("logs", "--out", "case.tgz")
    with tarfile.open(paved.folder / "case.tgz") as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert sorted(name for name in names if name.startswith(("journal", "notes"))) == journals


def test_a_bundle_for_support_holds_nothing_that_bucc_made_for_itself_and_what_is_public_of_it(
    paved: Command,
) -> None:
    line = base64.b64encode(bytes(range(48))).decode()
    lines = f"{line}\n{line[::-1]}"
    tls = {
        "ca": f"-----BEGIN CERTIFICATE-----\n{lines[:40]}",
        "private_key": f"-----BEGIN KEY-----\n{lines}\n",
    }
    creds = {
        "nats_password": "x7QmNats0Pass",
        "uaa_clients_director_to_credhub": "x7QmClient0Secret",
        "agents": {"username": "nats-agents", "password": "x7QmAgent0Pass"},
        "nats_server_tls": tls,
        "uaa_jwt_signing_key": {"private_key": "x7QmSigning0Key", "public_key": "x7QmPublic0Key"},
    }
    key = keys.KeyFile(paved.folder / "site.key")
    with store.writer(paved.folder / "lab-north.sealed", key, "bucc up") as writer:
        writer.put("bucc-creds", yaml_text.dumps(creds), made_by="test")
    said = "nats://nats-agents:x7QmNats0Pass@10.30.0.10:4222, x7QmClient0Secret, x7QmAgent0Pass, x7QmSigning0Key\n"
    (folder,) = paved.runs
    public = "x7QmPublic0Key of nats-agents at 10.30.0.10:4222\n" + tls["ca"]
    (folder / "jumpbox.log").write_text(f"{said}{lines}\n{public}\n")
    paved.fine("logs", "--out", "case.tgz")
    with tarfile.open(paved.folder / "case.tgz") as archive:
        (log,) = [member for member in archive.getmembers() if member.name.endswith("jumpbox.log")]
        shown = archive.extractfile(log).read().decode()  # type: ignore[union-attr]
    taken = "[redacted]"
    assert shown.startswith(
        f"nats://nats-agents:{taken}@10.30.0.10:4222, {taken}, {taken}, {taken}\n{taken}\n"
    )
    assert shown.endswith(f"{taken}\n{public}\n")


def test_a_bundle_is_not_made_without_what_takes_the_secrets_out(paved: Command) -> None:
    (paved.folder / "site.key").unlink()
    ran = paved.run("logs")
    assert ran.code == 3
    assert "take the secrets out" in ran.err


def test_a_bundle_replaces_no_file(paved: Command) -> None:
    paved.fine("logs", "--out", "case.tgz")
    assert paved.run("logs", "--out", "case.tgz").code == 3


class _Known:
    """What outputs stand for in these tests: a certificate, or lines of known_hosts."""

    def __call__(self, output: Output) -> object:
        return ("ssh-ed25519 AAAA",) if output.fact == "host_keys" else "-----BEGIN CERTIFICATE-----\n"


def contract_of(site: Site) -> Any:
    return encode(substitute(document.contract(site, DRIVER.pave(site)), _Known()))


def test_a_contract_is_valid_against_the_schema_that_paver_prints(site: Command, demo: Site) -> None:
    schema = json.loads(site.fine("contract", "--schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    made = contract_of(demo)
    jsonschema.validate(made, schema)
    del made["director"]["url"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, schema)


def test_the_schema_has_every_key_of_the_contract_and_no_other(site: Command, demo: Site) -> None:
    schema = json.loads(site.fine("contract", "--schema").out)
    made = contract_of(demo)
    assert set(schema["properties"]) == set(made)
    for key, value in made.items():
        if isinstance(value, dict) and key != "iaas":
            assert set(schema["properties"][key]["properties"]) == set(value), key


def test_a_contract_of_external_services_is_valid_too(demo: Site, site: Command) -> None:
    text = init_text(DRIVER, "lab-north")
    assert "  registry:\n" in text
    before = contract_of(demo)
    assert before["registry"]["ca"]
    schema = json.loads(site.fine("contract", "--schema").out)
    made = json.loads(json.dumps(before))
    made["registry"] |= {"url": "https://registry.corp.example", "ca": ""}
    jsonschema.validate(made, schema)


def test_every_secret_that_a_vsphere_site_shows_a_way_to_is_one_that_somebody_makes(demo: Site) -> None:
    found = compose.compose(demo, DRIVER)
    made = {one.id.partition(":")[2] for one in found.resources if one.id.startswith("trust.")}
    named = {door.secret for door in doors(demo, DRIVER)} - {""}
    assert named - made == {"esx-root"}
    tools = {door.tool for door in doors(demo, DRIVER) if isinstance(door, ToolDoor)}
    assert tools == {"bosh", "credhub", "fly", "mc", "govc"}
    assert [door.name for door in doors(demo, DRIVER) if door.last_resort] == ["esx-01", "esx-02"]
    assert resource_id("trust.authority", places.root().name) in {one.id for one in found.resources}


def test_every_door_of_a_vsphere_site_but_a_host_s_opens_once_something_brings_its_endpoint_into_being(
    demo: Site,
) -> None:
    providers = compose.compose(demo, DRIVER).graph.providers
    assert {door.name: door.endpoint in providers for door in doors(demo, DRIVER)} == {
        **dict.fromkeys(("esx-01", "esx-02"), False),
        **dict.fromkeys(("jumpbox", "vCenter appliance", "vCenter", "director", "CredHub"), True),
        **dict.fromkeys(("Concourse", "object store", "registry"), True),
    }


def test_the_ports_of_a_vsphere_site_are_rows_as_the_command_prints_them(demo: Site) -> None:
    row: Port = next(iter(DRIVER.ports(demo)))
    assert (row.port, row.protocol) == (22, "tcp")


def test_init_writes_a_site_file_that_validates_and_overwrites_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from paver.cli import entry  # noqa: PLC0415 - the real driver here, not the memory one

    monkeypatch.chdir(tmp_path)
    assert entry.main(["init", "site.yml"]) == 0
    assert entry.main(["validate"]) == 0
    assert "ok: site.yml" in capsys.readouterr().out
    assert entry.main(["init", "site.yml"]) == 4
    assert entry.main(["init", "-", "--name", "delta"]) == 0
    assert "\nname: delta\n" in capsys.readouterr().out
    assert not Path("-").exists()
    assert entry.main(["init", "--name", "North!"]) == 3
    assert entry.main(["init", "--driver", "none"]) == 3
    assert entry.main(["schema"]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out.split("exists\n")[-1]))


def test_init_for_a_driver_without_an_example_writes_each_of_its_keys_with_its_type(site: Command) -> None:
    lines = site.fine("init", "--driver", "memory").out.splitlines()
    start = lines.index("  driver: memory")
    assert lines[start + 1 : start + 5] == [
        "  #folder: <text>",
        "  #shelves: {}",
        "  #dials: {}",
        "  #colour: grey",
    ]


@pytest.mark.parametrize(
    ("argv", "what", "where", "writes"),
    [
        (("init", "new.yml", "--driver", "memory"), "new.yml", Path, "open"),
        (("plan", "--offline", "--out", "new.plan"), "the plan", own_files, "put"),
        (("logs", "--out", "new.tgz"), "the bundle", tarfile, "open"),
    ],
)
def test_a_full_disk_ends_what_writes_a_file_with_1_and_says_to_make_room(
    site: Command, argv: tuple[str, ...], what: str, where: Any, writes: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with site.patch.context() as patch:
        patch.setattr(where, writes, full)
        ran = site.run(*argv)
    assert ran.code == 1
    assert ran.err.splitlines()[0].startswith(f"error: {what} can't be written")
    assert "do    make room on that file system" in ran.err
    assert not list(site.folder.glob("new.*"))


@pytest.mark.parametrize(
    ("argv", "where", "writes", "do"),
    [
        (("init", "new.yml", "--driver", "memory"), Path, "open", "name a file in another folder"),
        (("plan", "--offline", "--out", "new.plan"), own_files, "put", "name another file with --out"),
    ],
)
def test_a_folder_that_is_closed_has_another_one_advised_by_the_commands_own_means(
    site: Command, argv: tuple[str, ...], where: Any, writes: str, do: str
) -> None:
    def closed(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with site.patch.context() as patch:
        patch.setattr(where, writes, closed)
        ran = site.run(*argv)
    assert f"do    allow it there, or {do}" in ran.err
    assert "PAVER_STATE" not in ran.err


@pytest.mark.parametrize(
    "line",
    [
        ["paver", "env", "--site", "elsewhere/site.yml"],
        ["paver", "env", "-s", "'elsewhere/site.yml'", "--show"],
        ["paver", "env", "--site=elsewhere/site.yml"],
        ["paver", "env", "--site", "=", "elsewhere/site.yml"],
        ["paver", "env", "--site", "~/elsewhere/site.yml"],
        ["paver env -s elsewhere/site.yml --socks "],
    ],
)
def test_the_line_at_hand_may_name_the_site_whose_names_complete_it(
    site: Command, line: list[str], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    site.site.rename(tmp_path / "elsewhere" / "site.yml")
    site.patch.setenv("HOME", str(tmp_path))
    with site.patch.context() as patch:
        patch.chdir(tmp_path)
        asks = "completion", "bash", "--names", "tools", "--line"
        assert site.fine(*asks, *line).out.split()[:1] == ["bosh"]
        refused(site.run(*asks, "paver", "--site"), 3, "site.yml")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_every_shell_completes_every_verb(site: Command, shell: str) -> None:
    script = site.fine("completion", shell).out
    for word in ("preflight", "rehearse", "socks"):
        assert word in script


def test_the_reference_of_the_command_line_is_made_from_the_parsers() -> None:
    made = reference.reference()
    assert (DOCS / "cli.md").read_text() == made, "run: python -m paver.cli.reference > docs/reference/cli.md"


def test_everything_in_the_reference_of_the_command_line_is_described() -> None:
    text = (DOCS / "cli.md").read_text()
    assert re.findall(r"^\|.*\|  \|$", text, re.MULTILINE) == []
    assert re.findall(r"^#{3,4} (.*)\n\n\n", text, re.MULTILINE) == []


def test_a_reader_that_has_had_enough_is_no_error(site: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return site_pipe.fileno()

    with (site.folder / "pipe").open("w") as site_pipe:
        monkeypatch.setattr(sys, "stdout", Closed())
        from paver.cli import entry  # noqa: PLC0415

        assert entry.main(["drivers"]) == 1
