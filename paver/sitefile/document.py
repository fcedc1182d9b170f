"""The site file as a whole, before the driver's model has looked at `iaas`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from paver.sitefile import models
from paver.sitefile.section import ALIKE, Section
from paver.sitefile.services import Services
from paver.sitefile.values import Label, List, Map, shown, wrong

_ID_ADVICE = "Name resources as `paver plan --ids` does, as in vsphere.port-group:esx-01/mgmt."


def _resource(value: object) -> object:
    kind, colon, key = value.partition(":") if isinstance(value, str) else ("", "", "")
    if (
        not (kind and colon and key)
        or not key.isprintable()
        or not kind.replace(".", "").replace("-", "").isalnum()
    ):
        raise wrong(f"{shown(value)} is not a resource's name", _ID_ADVICE)
    return value


ResourceName = Annotated[str, BeforeValidator(_resource)]


class Document(Section):
    """What a site is to be: hosts and what is made of them."""

    paver: Literal[1] = Field(description="The format of this file; there is none but 1.")
    name: Label = Field(description="The site's name; every mark, plan and report bears it.")
    iaas: dict[str, Any] = Field(description="All that is of one IaaS.")
    networks: Annotated[Map[Label, models.Network], Field(min_length=1), ALIKE] = Field(
        description="Networks, by name."
    )
    site_services: models.SiteServices = Field(description="DNS and time.")
    jumpbox: models.Jumpbox = Field(description="The machine from which the site is paved.")
    bucc: models.Bucc = Field(description="BOSH, UAA, CredHub and Concourse.")
    services: Services = Field(description="Object store, registry, Concourse's teams.")
    trust: models.Trust = Field(
        default=models.Trust(), description="Whom the site trusts beside its own root."
    )
    secrets: models.Secrets = Field(default=models.Secrets(), description="Where the site's secrets are.")
    moved: Map[ResourceName, ResourceName] = Field(
        default={},
        description="Resources that have another id now, old id to new (`paver plan --ids` shows them): what stands is kept, "
        "and its mark gets the new id. Where the thing's own name would change with it, the plan says so and is blocked.",
    )
    adopt: List[ResourceName] = Field(
        default=(),
        description="Resources (`paver plan --ids` shows their ids) that may stand there already and be somebody else's: such a "
        "thing becomes the site's, is made as it is wished, and goes with the site. Without it, a foreign thing of the "
        "same name blocks.",
    )
