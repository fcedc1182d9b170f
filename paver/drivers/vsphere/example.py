"""The values of a vSphere site in the file that `paver init` writes. Pins are placeholders: `check` warns of them."""

from __future__ import annotations

from pydantic import JsonValue

NO_HOSTS_PIN = "sha256:" + ":".join(["00"] * 32)

EXAMPLE: dict[str, JsonValue] = {
    "hosts": {
        "esx-01": {
            "address": "10.20.0.11",
            "fingerprint": NO_HOSTS_PIN,
            "login": "secret:esx-root",
            "switches": {"vSwitch0": {"uplinks": ["vmnic0"], "mtu": 1500}},
            "port_groups": {
                "mgmt": {"switch": "vSwitch0", "vlan": 20},
                "bosh": {"switch": "vSwitch0", "vlan": 30},
            },
            "datastore": "datastore1",
        },
        "esx-02": {"like": "esx-01", "address": "10.20.0.12", "fingerprint": NO_HOSTS_PIN},
    },
    "vcenter": {
        "fqdn": "vcsa.north.example",
        "address": "10.20.0.20",
        "on": "esx-01",
        "installer": {"iso": "[datastore1] iso/VMware-VCSA-all-8.0.3.iso"},
        "size": "tiny",
    },
    "inventory": {
        "datacenter": "north",
        "clusters": {"compute": {"hosts": ["esx-01", "esx-02"], "drs": True, "ha": False}},
    },
}
