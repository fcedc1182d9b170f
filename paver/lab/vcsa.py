"""What the lab's vCenter appliance and its installer know of each other: what starts, and where it is told how that went."""

from __future__ import annotations

SERVICES = (
    "VMware Authentication Framework",
    "VMware Identity Single Container Service",
    "VMware Certificate Authority Service",
    "VMware Security Token Service",
    "VMware Appliance Management Service",
    "VMware Postgres",
    "VMware vCenter Server",
    "VMware Content Library Service",
    "VMware vSphere UI",
)
"""A few of the real services, in their order; what a watcher sees in the installer's log."""

STATE = "guestinfo.vmware.vcsa.state"
"""Where the installer looks whether first boot failed."""
