"""Which URLs name a file on an NFS server, and what is wrong with the others."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paver.transport import nfs_url
from paver.transport.nfs_url import Remote


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("nfs://10.20.0.9/export/vcsa.iso", Remote("10.20.0.9", None, "/export/vcsa.iso")),
        (
            "nfs://nas.corp.example:2050/vol/iso/VMware-VCSA-all-8.0.3-24022515.iso",
            Remote("nas.corp.example", 2050, "/vol/iso/VMware-VCSA-all-8.0.3-24022515.iso"),
        ),
    ],
)
def test_a_url_names_a_server_its_port_and_a_file_in_an_export(text: str, remote: Remote) -> None:
    assert nfs_url.parse(text) == nfs_url.of(text) == remote
    assert (remote.folder + "/" + remote.name) == remote.path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://10.20.0.9/export/vcsa.iso", "does not begin with nfs://"),
        ("NFS://10.20.0.9/export/vcsa.iso", "does not begin with nfs://"),
        ("nfs://me:hunter2@10.20.0.9/export/vcsa.iso", "names a user"),
        ("nfs:///export/vcsa.iso", "nothing is neither a name nor an IPv4 address"),
        ("nfs://10.20.0.999/export/vcsa.iso", "neither a name nor"),
        ("nfs://[::1]/export/vcsa.iso", "neither a name nor"),
        ("nfs://-nas/export/vcsa.iso", "neither a name nor"),
        ("nfs://nas:/export/vcsa.iso", "nothing is not a port"),
        ("nfs://nas:0/export/vcsa.iso", "0 is not a port"),
        ("nfs://nas:65536/export/vcsa.iso", "65536 is not a port"),
        ("nfs://nas:²/export/vcsa.iso", "is not a port"),
        ("nfs://nas/export/vcsa.iso?uid=0", "has a query"),
        ("nfs://nas/export/vcsa.iso#a", "has a query"),
        ("nfs://nas/export/../vcsa.iso", "has . or .. in it"),
        ("nfs://nas/export/./vcsa.iso", "has . or .. in it"),
        ("nfs://nas", "is not an export, and a file in it"),
        ("nfs://nas/vcsa.iso", "is not an export, and a file in it"),
        ("nfs://nas/export/", "is not an export, and a file in it"),
        ("nfs://nas/export//vcsa.iso", "is not an export, and a file in it"),
        ("nfs://nas/export/%2e%2e/vcsa.iso", "is not an export, and a file in it"),
        ("nfs://nas/export/vcsa.iso\n", "is not an export, and a file in it"),
        (f"nfs://{'n' * 64}/export/vcsa.iso", "neither a name nor"),
        (f"nfs://{'nas.' * 63}as/export/vcsa.iso", "neither a name nor"),
        (f"nfs://nas/export/{'v' * 256}", "a name in it than 255"),
        (f"nfs://nas/export{'/folder' * 145}/vcsa", "longer than 1024 bytes"),
    ],
)
def test_what_names_no_file_is_told_why(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        nfs_url.parse(text)


def test_the_longest_names_and_the_longest_path_are_taken() -> None:
    assert len(nfs_url.parse(f"nfs://{'nas.' * 63}a/export/{'v' * 255}").server) == 253
    assert len(nfs_url.parse(f"nfs://nas/export{'/folder' * 144}/vcsa.iso").path) == 1024


def test_what_is_no_such_url_is_something_else() -> None:
    assert nfs_url.of("[datastore1] iso/vcsa.iso") is None
    assert nfs_url.of("/srv/artefacts/vcsa.iso") is None
    assert nfs_url.of("") is None


@given(st.text(st.sampled_from("nas10.:/@?#%&=-~ \n"), max_size=40).map("nfs://{}".format))
@example("nfs://nas/a/b")
def test_whatever_is_taken_can_carry_nothing_beyond_server_and_path(text: str) -> None:
    try:
        remote = nfs_url.parse(text)
    except ValueError:
        return
    port = f":{remote.port}" if remote.port is not None else ""
    assert re.sub(r":0+(?=\d+/)", ":", text) == f"nfs://{remote.server}{port}{remote.path}"
    assert not set(remote.server + remote.path) & set("?#%&@ \n")
    assert not {".", ".."} & set(remote.path.split("/"))
