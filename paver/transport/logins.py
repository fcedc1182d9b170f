"""Logins that were refused: no server is sent the same wrong password twice by one run.

Servers lock accounts: an ESXi host after five wrong passwords for 15 minutes, by SOAP and SSH but not at its console
(vSphere Security, "ESXi Passwords and Account Lockout"), vCenter's single sign-on after five within three minutes for five
minutes (vSphere Authentication, "vCenter Server Password Requirements and Lockout Behavior"), a UAA its users after five within an
hour for five minutes (uaa, CommonLoginPolicy.java; its clients are not locked unless it is told to). The right password is refused
as well then, in the same words. So several endpoints that one account belongs to, and all who ask an endpoint again, share
what the first login ended with.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from typing import TypeVar

from paver.errors import Unobservable

T = TypeVar("T")


class LoginError(Unobservable):
    """The server answers, and does not let the account in."""


class NoAccessError(LoginError):
    """The password is right, and the account may not come in all the same."""


class Logins:
    """What logins of one run ended with; thread-safe. Passwords are kept as salted digests, for as long as the run lasts."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._refused: dict[tuple[str, str, bytes], LoginError] = {}

    def once(self, server: str, account: str, password: str, log_in: Callable[[], T]) -> T:
        """Returns what `log_in` returns; of one account's logins at a server one happens at a time.

        Args:
            server: the server whose accounts they are.
            account: the account.
            password: what it logs in with.
            log_in: asks the server.

        Raises:
            LoginError: if the server refuses the password, or has refused it before: it is not asked again then.
        """
        digest = hashlib.blake2b(password.encode(), key=self._salt).digest()
        with self._lock:
            one_at_a_time = self._locks.setdefault((server, account), threading.Lock())
        with one_at_a_time:
            before = self._refused.get((server, account, digest))
            if before is not None:
                raise before
            try:
                return log_in()
            except LoginError as error:
                self._refused[server, account, digest] = error
                raise


def refused_by_sso(where: str, user: str, secret: str) -> LoginError:
    """Returns the error of a login that single sign-on refuses, by itself or for vCenter.

    Whether `administrator` is locked as well, the vendor says both: not "system accounts such as administrator" (vSphere
    Authentication, "Edit the vCenter Single Sign-On Lockout Policy"), and how it is unlocked after wrong passwords
    (Broadcom KB 326186).
    """
    return LoginError(
        f"{where} refuses the login of {user}",
        why="user or password is wrong, or the password has expired, or the account is locked: by default five wrong ones "
        "within three minutes lock it for five minutes, and the right one is refused as well then",
        do=f"check secret:{secret} before you try again, since each wrong try counts: `paver secrets set {secret}` takes the "
        "one that is set there (a newer one has to be set there first, paver does not bring it). A locked account opens by itself five minutes after the last wrong try, or another "
        "administrator unlocks it in vCenter (Single Sign On, Users)",
    )


def refused_by_uaa(where: str, who: str, status: int, secret: str) -> LoginError:
    """Returns the error of a UAA, or of what answers as one, that gives no token to whoever proves himself by `secret`."""
    return LoginError(
        f"{where} gives {who} no token: {status}",
        why="user, client or secret is wrong, or the user is locked: by default five wrong passwords within an hour lock one "
        "for five minutes, and the right one is refused as well then",
        do=f"compare secret:{secret} with what is set there (`paver secrets show {secret}`) before you try again, since each wrong try counts; "
        "a locked user is let in again five minutes after the last one",
    )
