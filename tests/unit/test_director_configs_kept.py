"""Configs of the director that somebody else may have put there."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from paver.driver import Endpoint, Mark, ResourceId, Secret, resource_id
from paver.engine.diff import changes
from paver.errors import Unobservable
from paver.foundation.director.configs import Config
from tests.support.ledger import Director
from tests.unit.test_foundation_yaml_text import BOMB

CLOUD = resource_id("bosh.config", "cloud/default")
AT: Endpoint[Any, Any] = Endpoint("director")


@dataclasses.dataclass
class World:
    """The director alone."""

    director: Director = dataclasses.field(default_factory=Director)
    site: str = "north"
    acting: ResourceId = CLOUD

    def session(self, at: Endpoint[Any, Any]) -> Any:
        assert at == AT
        return self.director

    writing = session

    def mark(self, *, complete: bool) -> Mark:
        return Mark(self.site, self.acting, "a" * 64, complete)

    def version(self, secret: Secret) -> str:
        raise AssertionError(f"a config has no secrets: {secret.name}")


@pytest.fixture
def world() -> Any:
    return World()


def config() -> Config:
    document = {"vm_types": [{"name": "small", "cloud_properties": {"cpu": 1}}]}
    return Config(id=CLOUD, phase="bucc", at=AT, type_="cloud", name="default", document=document)


def test_a_fraction_that_somebody_wrote_into_a_config_is_a_difference_that_can_be_planned(world: Any) -> None:
    config().create(world)
    world.director.configs["cloud", "default"] = "vm_types: [{name: small, cloud_properties: {cpu: 1.5}}]"
    facts = config().read(world)
    assert facts is not None
    assert facts.document["vm_types"][0]["cloud_properties"]["cpu"] == Decimal("1.5")
    (change,) = changes(config(), facts, world.version)
    assert change.before == {"vm_types": [{"cloud_properties": {"cpu": {"number": "1.5"}}, "name": "small"}]}


@pytest.mark.parametrize(
    "content", [BOMB, "[" * 100_000, "a: [", "a: !mine b"], ids=["bomb", "deep", "cut", "tag"]
)
def test_a_config_that_cannot_be_read_is_told_and_not_taken_for_absent(world: Any, content: str) -> None:
    config().create(world)
    world.director.configs["cloud", "default"] = content
    with pytest.raises(Unobservable, match="the director's cloud config default can't be read"):
        config().read(world)
