"""What a loaded site is: typed, frozen, whole, with a digest over its meaning."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import pathlib
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pydantic
import pytest

from paver.drivers.vsphere import check, settings
from paver.sitefile import AddressRange, SecretRef, load
from paver.sitefile.diagnostic import Diagnostic
from paver.sitefile.site import Site

GOOD = pathlib.Path(__file__).parents[1] / "cases" / "sitefile" / "good" / "lab-north.yml"
TEXT = GOOD.read_text()


@dataclasses.dataclass(frozen=True)
class Vsphere:
    name: str = "vsphere"
    settings: type[pydantic.BaseModel] = settings.Settings

    def check(self, site: Site) -> Iterable[Diagnostic]:
        return check.check(site)


def loaded(text: str = TEXT, *changes: tuple[str, str]) -> Site:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return load.loads(text, {"vsphere": Vsphere()}, file="site.yml", folder=GOOD.parent)


def test_a_site_is_loaded_from_its_file() -> None:
    site = load.load(GOOD, {"vsphere": Vsphere()})
    assert site.name == "lab-north"
    assert site.driver == "vsphere"
    assert site.folder == GOOD.parent
    assert site.source.file == str(GOOD)


def test_values_are_typed() -> None:
    site = loaded()
    bosh = site.networks["bosh"]
    assert bosh.cidr == IPv4Network("10.30.0.0/24")
    assert bosh.static == (AddressRange(IPv4Address("10.30.0.10"), IPv4Address("10.30.0.30")),)
    assert site.services.object_store.buckets["state"].lock == dt.timedelta(days=30)
    assert site.jumpbox.address == IPv4Address("10.20.0.10")


def test_a_reference_alone_is_the_login_of_root() -> None:
    host = settings.of(loaded()).hosts["esx-01"]
    assert (host.login.user, host.login.password) == ("root", SecretRef("esx-root"))


def test_a_login_may_name_another_user() -> None:
    site = loaded(TEXT, ("login: secret:esx-root", "login: {user: admin, password: secret:esx-admin}"))
    host = settings.of(site).hosts["esx-02"]
    assert (host.login.user, host.login.password) == ("admin", SecretRef("esx-admin"))


def test_a_host_takes_over_what_another_one_says_and_changes_only_what_it_gives() -> None:
    site = loaded(TEXT, ("like: esx-01, address", "like: esx-01, switches: {vSwitch0: {mtu: 9000}}, address"))
    first, second = settings.of(site).hosts.values()
    assert second.switches["vSwitch0"].uplinks == first.switches["vSwitch0"].uplinks
    assert (first.switches["vSwitch0"].mtu, second.switches["vSwitch0"].mtu) == (1500, 9000)
    assert second.port_groups == first.port_groups
    assert second.address != first.address


def test_a_host_may_be_like_one_that_stands_below_it_and_is_like_a_third() -> None:
    chain = TEXT.replace(
        "    esx-01:\n",
        "    esx-00: {like: esx-02, address: 10.20.0.9, fingerprint: sha256:"
        + "07" * 32
        + "}\n    esx-01:\n",
    ).replace("[esx-01, esx-02]", "[esx-00, esx-01, esx-02]")
    assert settings.of(loaded(chain)).hosts["esx-00"].port_groups["bosh"].vlan == 30


def test_nothing_in_a_site_can_be_changed() -> None:
    site = loaded()
    with pytest.raises(dataclasses.FrozenInstanceError):
        site.name = "other"  # type: ignore[misc]
    with pytest.raises(pydantic.ValidationError):
        site.jumpbox.on = "esx-02"  # type: ignore[misc]
    with pytest.raises(TypeError):
        site.networks["more"] = site.networks["bosh"]  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.of(site).hosts["esx-01"].port_groups["x"] = None  # type: ignore[index]


def test_a_copy_of_a_section_is_the_section() -> None:
    site = loaded()
    assert copy.deepcopy(site.iaas) is site.iaas


def test_comments_order_and_formatting_are_no_part_of_the_digest() -> None:
    sections = TEXT.split("\nnetworks:")
    reordered = (
        TEXT.replace("paver: 1\n", "# a comment\n\npaver:    1\n")
        .replace("{switch: vSwitch0, vlan: 20}", "{vlan: 20, switch: 'vSwitch0'}")
        .replace(
            "hosts: [esx-01, esx-02]", "hosts:\n          - esx-02\n          - esx-01\n        ".rstrip()
        )
        .replace("clusters: {compute: {", "clusters: {compute: {")
    )
    assert len(sections) == 2
    block = "    clusters:\n      compute:\n        drs: true\n        hosts:\n          - esx-02\n          - esx-01\n"
    reordered = TEXT.replace(
        "paver: 1\nname: lab-north\n", "# a comment\nname:   'lab-north'\npaver: 1\n"
    ).replace("    clusters: {compute: {hosts: [esx-01, esx-02], drs: true, ha: false}}\n", block)
    assert reordered != TEXT
    assert loaded(reordered).digest() == loaded().digest()


def test_a_default_that_is_written_out_changes_nothing() -> None:
    assert (
        loaded(TEXT, ("size: tiny", "size: tiny\n    sso_domain: vsphere.local")).digest()
        == loaded().digest()
    )


def test_like_is_the_same_as_writing_it_out() -> None:
    written = TEXT.replace(
        "like: esx-01, address: 10.20.0.12",
        "login: secret:esx-root, switches: {vSwitch0: {uplinks: [vmnic0], mtu: 1500}}, datastore: datastore1, "
        "port_groups: {mgmt: {switch: vSwitch0, vlan: 20}, bosh: {switch: vSwitch0, vlan: 30}}, address: 10.20.0.12",
    )
    assert loaded(written).digest() == loaded().digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("vlan: 30", "vlan: 31"),
        ("lock: 30d", "lock: 31d"),
        ("drs: true", "drs: false"),
        ("login: secret:esx-root", "login: secret:other"),
        ("extra_roots: [corp-root.pem]", "extra_roots: []"),
        ("name: lab-north", "name: lab-south"),
        ("secrets: {", "moved: {'a.b:x': 'a.b:y'}\nsecrets: {"),
    ],
)
def test_every_meaning_is_part_of_the_digest(old: str, new: str) -> None:
    assert loaded(TEXT, (old, new)).digest() != loaded().digest()


class Later(settings.Settings):
    """The settings of a later paver, with keys that a site of today does not set."""

    note: str | None = None
    tags: tuple[str, ...] = ()
    limits: Mapping[str, int] = {}


class Bolder(settings.Settings):
    """Those of one in which a site that says nothing means something."""

    retries: int = 3


def test_keys_of_a_later_paver_change_the_digest_of_those_sites_alone_that_mean_something_by_them() -> None:
    site = loaded()
    today: dict[str, Any] = {key: getattr(site.iaas, key) for key in type(site.iaas).model_fields}

    def digest(model: type[settings.Settings], **more: Any) -> str:
        return dataclasses.replace(site, iaas=model.model_construct(**today, **more)).digest()

    assert digest(Later) == site.digest()
    meant = [
        digest(Later, note="x"),
        digest(Later, tags=("x",)),
        digest(Later, limits={"x": 0}),
        digest(Bolder),
    ]
    assert len({site.digest(), *meant}) == 5


def test_the_digest_of_the_example_stays() -> None:
    """Approvals are bound to it: a change of the normalised form voids all of them, so it is never an accident."""
    assert loaded().digest() == "77d4f65e357fd7175fbf10409520dc33e3b228e1023ef9abd5656a05106e756b"


def test_dns_and_time_are_the_jumpboxs_or_the_sites() -> None:
    inner = loaded()
    outer = loaded(
        TEXT, ("dns: jumpbox, ntp: jumpbox", "dns: [10.0.0.53], ntp: [ntp.corp.example, 10.0.0.5]")
    )
    assert (inner.dns, inner.ntp) == ((IPv4Address("10.20.0.10"),), ("10.20.0.10",))
    assert (inner.dns_on_jumpbox, inner.ntp_on_jumpbox) == (True, True)
    assert (outer.dns, outer.ntp) == ((IPv4Address("10.0.0.53"),), ("ntp.corp.example", "10.0.0.5"))
    assert (outer.dns_on_jumpbox, outer.ntp_on_jumpbox) == (False, False)
    assert outer.network_dns("bosh") == outer.dns


def test_every_machine_has_its_name_and_address() -> None:
    site = loaded()
    named = {machine.fqdn: str(machine.address) for machine in site.machines() if machine.fqdn}
    named |= {
        machine.fqdn: str(machine.address)
        for machine in settings.of(site).machines(site.zone)
        if machine.fqdn
    }
    assert named == {
        "jumpbox.north.example": "10.20.0.10",
        "esx-01.north.example": "10.20.0.11",
        "esx-02.north.example": "10.20.0.12",
        "vcsa.north.example": "10.20.0.20",
        "director.north.example": "10.30.0.10",
        "objects.north.example": "10.30.0.11",
        "registry.north.example": "10.30.0.12",
    }


def test_relative_paths_start_at_the_site_files_folder() -> None:
    site = loaded()
    assert site.path("corp-root.pem") == GOOD.parent / "corp-root.pem"
    assert site.path("/srv/x") == pathlib.Path("/srv/x")
    assert site.sealed_file == GOOD.parent / "lab-north.sealed"


def test_vcenter_stands_in_the_network_that_holds_its_address() -> None:
    assert settings.vcenter_network(loaded()) == "mgmt"
    assert settings.vcenter_network(loaded(TEXT, ("size: tiny", "network: mgmt"))) == "mgmt"


def test_the_only_cluster_carries_every_zone_and_several_say_which() -> None:
    one = settings.of(loaded())
    assert one.clusters_of("z1") == ("compute",)
    two = settings.of(
        loaded(
            TEXT,
            (
                "{hosts: [esx-01, esx-02], drs: true, ha: false}",
                "{hosts: [esx-01], azs: [z1]}, b: {hosts: [esx-02]}",
            ),
        )
    )
    assert two.clusters_of("z1") == ("compute",)


def test_services_may_be_there_already() -> None:
    site = loaded(
        TEXT,
        (
            "object_store: {address: 10.30.0.11,",
            "object_store: {external: {endpoint: 'https://s3.corp.example:9000/', login: {user: AK, password: secret:s3}},",
        ),
    )
    external = site.services.object_store.external
    assert external is not None
    assert external.endpoint == "https://s3.corp.example:9000"
    assert external.login.password == SecretRef("s3")
    assert "the object store" not in [machine.whose for machine in site.machines()]


def test_the_site_of_another_driver_has_no_vsphere_settings() -> None:
    other = dataclasses.replace(loaded(), driver="memory", iaas=loaded().jumpbox)
    with pytest.raises(TypeError, match="memory is not vsphere"):
        settings.of(other)


def test_yaml_is_read_as_people_mean_it() -> None:
    site = loaded(
        TEXT,
        ("size: tiny", "size: tiny\n    version: 8.0"),
        ("extra_roots: [corp-root.pem]", "extra_roots: [no, on]"),
    )
    assert settings.of(site).vcenter.version == "8.0"
    assert site.trust.extra_roots == ("no", "on")


def test_windows_files_with_a_byte_order_mark_are_read() -> None:
    data = b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()
    site = load.loads(data, {"vsphere": Vsphere()}, file="site.yml", folder=GOOD.parent)
    assert site.digest() == loaded().digest()


def test_anchors_repeat_a_value() -> None:
    text = TEXT.replace(
        "mgmt: {switch: vSwitch0, vlan: 20}", "mgmt: &g {switch: vSwitch0, vlan: 20}, spare: *g"
    )
    assert settings.of(loaded(text)).hosts["esx-01"].port_groups["spare"].vlan == 20
