"""The form: asks line by line, says what is wrong with an answer, shows all of it, changes one line or begins again.

Nothing here touches the machine: a terminal in, answers out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Protocol, TypeVar

from paver.appliance import answers as given
from paver.appliance.answers import NOTHING, Answers
from paver.errors import BadInput

NAME = "paver-jumpbox"
"""What the machine is called where nobody says otherwise."""

_NO_NTP = "none: the clock is the hypervisor's"
_Value = TypeVar("_Value")


class Speaks(Protocol):
    """What the form needs of a terminal; see `terminal.Terminal`."""

    def say(self, *lines: str) -> None:
        """Writes lines."""

    def ask(self, prompt: str) -> str:
        """Returns a line."""

    def ask_secretly(self, prompt: str) -> str:
        """Returns a line that is not shown."""


@dataclasses.dataclass(frozen=True)
class Card:
    """A network card of the machine; whether it has a link tells it only once it is used, before that it is None."""

    name: str
    mac: str
    link: bool | None

    def __str__(self) -> str:
        link = {True: ", link is up", False: ", no link", None: ""}[self.link]
        return f"{self.name} ({self.mac}{link})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draft:
    """Answers as far as they were given.

    Attributes:
        login: what lets somebody in is there already, and may stay.
    """

    card: str = ""
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = ()
    ntp: tuple[str, ...] = ()
    name: str = NAME
    key: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    login: bool = False

    def whole(self) -> Answers:
        """Returns the answers."""
        if self.address is None:
            raise BadInput("the address is not given yet")
        fields = dataclasses.asdict(self)
        fields.pop("login")
        return Answers(**fields)


def kept(answers: Answers) -> dict[str, Any]:
    """Returns answers as they are kept for the next time: never a password."""
    return {
        "card": answers.card,
        "address": str(answers.address),
        "gateway": str(answers.gateway) if answers.gateway else None,
        "dns": [str(server) for server in answers.dns],
        "ntp": list(answers.ntp),
        "name": answers.name,
    }


def draft_of(before: Mapping[str, Any]) -> Draft:
    """Returns the draft that begins with what was kept, an empty one where that can't be read."""
    if not before:
        return Draft()
    try:
        return Draft(
            card=before["card"],
            address=given.address(before["address"]),
            gateway=IPv4Address(before["gateway"]) if before["gateway"] else None,
            dns=tuple(IPv4Address(one) for one in before["dns"]),
            ntp=tuple(before["ntp"]),
            name=before["name"],
            login=True,
        )
    except (KeyError, TypeError, ValueError, AttributeError, BadInput):
        return Draft()


def again(answers: Answers) -> Draft:
    """Returns the draft that begins with all that was answered, for a form that could not do it."""
    return dataclasses.replace(draft_of(kept(answers)), key=answers.key, password=answers.password)


def fill_in(terminal: Speaks, cards: Sequence[Card], draft: Draft) -> Answers:
    """Asks until somebody says yes, and returns the answers."""
    lines = _lines(cards)
    begun = draft
    for asked in lines.values():
        draft = asked(terminal, draft)
    while True:
        terminal.say("", *_summary(draft, cards))
        word = (
            terminal.ask('\nApply this? "yes", the number of a line to change it, or "again":')
            .strip()
            .lower()
        )
        if word in {"yes", "y"}:
            return draft.whole()
        if word in lines:
            draft = lines[word](terminal, draft)
        elif word == "again":
            draft = begun
            for asked in lines.values():
                draft = asked(terminal, draft)
        else:
            terminal.say(f"  {word or 'nothing'} is none of these; nothing was changed.")


Asked = Callable[[Speaks, Draft], Draft]


def _lines(cards: Sequence[Card]) -> dict[str, Asked]:
    """Returns the form's lines by their numbers."""

    def card(terminal: Speaks, draft: Draft) -> Draft:
        return _card(terminal, draft, cards)

    return {"1": card, "2": _address, "3": _gateway, "4": _dns, "5": _ntp, "6": _name, "7": _login}


def _summary(draft: Draft, cards: Sequence[Card]) -> list[str]:
    found = next((str(card) for card in cards if card.mac == draft.card), draft.card)
    if draft.password is not None:
        login = "paver, by the password that was typed"
    elif draft.key is not None:
        comment = " ".join(draft.key.split()[2:])
        login = f"paver, by the key {given.fingerprint(draft.key)} {comment}".rstrip()
    else:
        login = "as before"
    return [
        f"  1  card        {found}",
        f"  2  address     {draft.address}",
        f"  3  gateway     {draft.gateway or 'none'}",
        f"  4  DNS         {' '.join(map(str, draft.dns)) or 'none'}",
        f"  5  NTP         {' '.join(draft.ntp) or _NO_NTP}",
        f"  6  name        {draft.name}",
        f"  7  logs in     {login}",
    ]


def _card(terminal: Speaks, draft: Draft, cards: Sequence[Card]) -> Draft:
    if len(cards) == 1:
        if draft.card == cards[0].mac:
            terminal.say(f"  {cards[0]} is the only network card.")
        return dataclasses.replace(draft, card=cards[0].mac)
    for number, card in enumerate(cards, 1):
        terminal.say(f"  {number}  {card}")
    before = next((card for card in cards if card.mac == draft.card), None)
    default = before or next((card for card in cards if card.link), cards[0])

    def read(text: str) -> Card:
        if text.isdecimal() and 1 <= int(text) <= len(cards):
            return cards[int(text) - 1]
        raise BadInput("there is no such card", do=f"A number from 1 to {len(cards)}.")

    chosen = _until_right(terminal, "Network card", str(cards.index(default) + 1), read, default)
    return dataclasses.replace(draft, card=chosen.mac)


def _address(terminal: Speaks, draft: Draft) -> Draft:
    shown = str(draft.address or "")
    found = _until_right(terminal, "Address/prefix", shown, given.address, draft.address)
    if draft.gateway is not None and draft.gateway in found.network and draft.gateway != found.ip:
        return dataclasses.replace(draft, address=found)
    # Most often it is the network's first address.
    first = found.network[1]
    return dataclasses.replace(draft, address=found, gateway=first if first != found.ip else None)


def _gateway(terminal: Speaks, draft: Draft) -> Draft:
    address, shown = draft.whole().address, str(draft.gateway or NOTHING)

    def read(text: str) -> IPv4Address | None:
        return given.gateway(text.strip() or shown, address)

    return dataclasses.replace(draft, gateway=_until_right(terminal, "Gateway", shown, read, None))


def _dns(terminal: Speaks, draft: Draft) -> Draft:
    shown = " ".join(map(str, draft.dns)) or NOTHING
    return dataclasses.replace(draft, dns=_until_right(terminal, "DNS servers", shown, given.dns, draft.dns))


def _ntp(terminal: Speaks, draft: Draft) -> Draft:
    shown = " ".join(draft.ntp) or NOTHING
    return dataclasses.replace(draft, ntp=_until_right(terminal, "NTP servers", shown, given.ntp, draft.ntp))


def _name(terminal: Speaks, draft: Draft) -> Draft:
    return dataclasses.replace(draft, name=_until_right(terminal, "Name", draft.name, given.name, draft.name))


def _login(terminal: Speaks, draft: Draft) -> Draft:
    there = draft.login or draft.key is not None or draft.password is not None
    while True:
        more = f" [{NOTHING} leaves it as it is]" if there else ""
        text = terminal.ask(f"SSH public key, or Enter for a password{more}:")
        if there and text.strip() == NOTHING:
            return draft
        try:
            if text.strip():
                return dataclasses.replace(draft, key=given.key(text), password=None)
            password = given.password(terminal.ask_secretly("Password for paver (is not shown):"))
            if terminal.ask_secretly("The same again:") == password:
                return dataclasses.replace(draft, key=None, password=password)
            terminal.say("  !! the two are not the same")
        except BadInput as error:
            _refuse(terminal, error)


def _until_right(
    terminal: Speaks, label: str, shown: str, read: Callable[[str], _Value], before: _Value | None
) -> _Value:
    """Asks for one line until it can be read; an empty one keeps what stands in brackets."""
    while True:
        text = terminal.ask(f"{label}{f' [{shown}]' if shown else ''}:")
        try:
            return before if not text.strip() and before is not None else read(text)
        except BadInput as error:
            _refuse(terminal, error)


def _refuse(terminal: Speaks, error: BadInput) -> None:
    terminal.say(f"  !! {error.what}", *([f"     {error.do}"] if error.do else []))
