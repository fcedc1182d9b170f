"""What can boot in the lab, by the word that a bootable disk starts with."""

from __future__ import annotations

from paver.lab.room import jumpbox, pc, stemcell, vcsa
from paver.lab.room.supervisor import Systems

SYSTEMS: Systems = {
    "jumpbox": jumpbox.Jumpbox,
    "pc": pc.Computer,
    "vcsa": vcsa.Appliance,
    "bosh-stemcell": stemcell.Stemcell,
}
