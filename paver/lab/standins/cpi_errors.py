"""The errors of the CPI protocol, by the names that the CLI and the director know."""

from __future__ import annotations


class CloudError(Exception):
    """A call was refused; `kind` is the error's type in the protocol: most of what the real CPI raises has none."""

    kind = "Unknown"
    ok_to_retry = False


class VMNotFoundError(CloudError):
    """There's no VM of that id; a delete takes it as done."""

    kind = "Bosh::Clouds::VMNotFound"


class DiskNotFoundError(CloudError):
    """There's no disk of that id."""

    kind = "Bosh::Clouds::DiskNotFound"


class DiskNotAttachedError(CloudError):
    """The VM does not have that disk."""

    kind = "Bosh::Clouds::DiskNotAttached"
    ok_to_retry = True
