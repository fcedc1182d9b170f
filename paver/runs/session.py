"""The world of one site, opened: vault, tunnels, connections, board."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import paver
from paver.driver import Connection, Connector, Driver, Paved, Secret
from paver.engine.board import Board
from paver.engine.plan import Plan
from paver.engine.planner import Heading, Request
from paver.engine.planner import plan as make_plan
from paver.engine.store import STORE
from paver.engine.world import Connections, ReadingWorld
from paver.errors import BadInput
from paver.runs.compose import compose
from paver.sealed.keys import KeySource
from paver.sitefile.site import Site
from paver.transport.context import SecretRef, Station, Wire
from paver.transport.logins import Logins
from paver.transport.tunnel import ConnectProxy
from paver.trust.vault import Sealed, Vault

if TYPE_CHECKING:
    from paver.transport.retry import Retry


class Session:
    """Opens a site's world; close it, or use it as a context.

    Args:
        site: the site.
        driver: its driver.
        station: where this process runs.
        key: what opens the sealed store; None to plan with its index alone.
        who: stands in the sealed store's lock.
        sealed: the sealed store's file, if it is not where the site file says.
        seen: where the sealed store that was seen last is remembered.
    """

    def __init__(
        self,
        site: Site,
        driver: Driver,
        *,
        station: Station,
        key: KeySource | None,
        who: str,
        sealed: Path | None = None,
        seen: Path | None = None,
    ) -> None:
        self.site = site
        self.driver = driver
        self.station: Station = station
        self.vault = Vault(sealed or site.sealed_file, key, who, seen, named=site.secrets.key)
        self.board = Board()
        paved = compose(site, driver)
        live = {**paved.connectors, STORE.name: Sealed(self.vault)}
        self.paved: Paved = dataclasses.replace(paved, connectors=MappingProxyType(live))
        self._retry: Callable[[Retry], None] | None = None
        self._proxies: dict[str, ConnectProxy] = {}
        self._opening = threading.Lock()
        self._logins = Logins()
        self.connections = Connections(
            self.paved.connectors, self._wire(), self.board.for_reading, self.board.lacking
        )

    @property
    def world(self) -> ReadingWorld:
        """The sessions that cannot write."""
        moved = self.paved.moved
        return ReadingWorld(self.site.name, self.connections, self.vault.version, moved=moved)

    @property
    def driver_version(self) -> str:
        """The driver by name and version, as it stands in plans."""
        return f"{self.driver.name}/{self.driver.version}"

    def plan(self, request: Request) -> Plan:
        """Returns the plan for the site as the world is now; reads only, and fills the board."""
        heading = Heading(
            site=self.site.name,
            site_digest=self.site.digest(),
            paver=paver.__version__,
            driver=self.driver_version,
        )
        self.connections.forget_all()
        return make_plan(self.paved, heading, request, self.world, self.board)

    def reach(self, connector: Connector) -> Connection[Any, Any]:
        """Connects to what is not one of the site's endpoints, or to one of them in another way; to be closed."""
        return connector.connect(self._wire())

    def tell_retries(self, listener: Callable[[Retry], None] | None) -> None:
        """Tells `listener` of every repeated attempt from now on; None tells nobody."""
        self._retry = listener

    def _wire(self) -> Wire:
        def retried(retry: Retry) -> None:
            if self._retry is not None:
                self._retry(retry)

        return Wire(
            station=self.station,
            reveal=self._reveal,
            proxy=self._proxy,
            anchor=self.vault.pem,
            on_retry=retried,
            logins=self._logins,
        )

    def _reveal(self, secret: SecretRef) -> str:
        return self.vault.reveal(Secret(secret.name), getattr(secret, "version", None))

    def _proxy(self, via: str | None) -> tuple[str, int] | None:
        if via is None:
            return None
        with self._opening:
            if via not in self._proxies:
                connection: Any = self.connections.get(via)
                self._proxies[via] = ConnectProxy(connection.reach())
            return self._proxies[via].address

    def close(self) -> None:
        """Closes every connection and gives the sealed store's lock back."""
        for proxy in self._proxies.values():
            proxy.close()
        self.connections.close()
        self.vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def driver_of(site_driver: str, drivers: Mapping[str, Driver]) -> Driver:
    """Returns the driver that a site file names.

    Raises:
        BadInput: if it is not installed.
    """
    if site_driver not in drivers:
        raise BadInput(
            f"the driver {site_driver} is not installed",
            seen="installed: " + ", ".join(sorted(drivers)),
            do="install the package that provides it; `paver drivers` lists what is there",
        )
    return drivers[site_driver]
