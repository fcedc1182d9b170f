"""`paver completion`."""

from __future__ import annotations

import argparse
import re
import shlex
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paver.cli import out

EXAMPLES = """\
examples:
  paver completion bash > ~/.local/share/bash-completion/completions/paver
  paver completion zsh > ~/.zsh/completions/_paver     a folder of $fpath
  paver completion fish > ~/.config/fish/completions/paver.fish
  paver completion tcsh > ~/.paver.tcsh                 and `source` it

Names of secrets, resources and tools are those of the site file that --site names earlier on the same line, else of the one
that PAVER_SITE names, or of site.yml in the folder at hand.
"""

SHELLS = ("bash", "zsh", "fish", "tcsh")
NAMES = ("secrets", "resources", "tools")

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+,=-]+")

_FILES = {"-s": "site", "--site": "site", "--sealed": "sealed"}
"""Options of other commands that say where the site's files are, and what they set."""

_LINE = {
    "bash": '"${COMP_WORDS[@]:0:COMP_CWORD}" 2>/dev/null',
    "fish": "(commandline -opc | string escape) 2>/dev/null",
    "tcsh": '"$COMMAND_LINE"',
}
"""How a shell names the words before the one at hand, and keeps quiet what goes wrong.

tcsh has the whole line as one word, ends a command for a completion at its first slash, and cannot leave out standard error alone.
"""

_BASH = """
# To readline a word with a colon is three words: put together here for what completes them, taken apart again after it.
_paver() {
  local -a words=()
  local index word glued= whole= last
  for (( index = 0; index <= COMP_CWORD; index++ )); do
    word=${COMP_WORDS[index]}
    [[ -z $word && ${COMP_LINE:0:COMP_POINT} == *[[:blank:]] ]] && glued=
    last=$(( ${#words[@]} - 1 ))
    if [[ $last -ge 0 && ( $glued || $word == :* ) ]]; then words[last]+=$word; else words+=("$word"); fi
    [[ $word == *: ]] && glued=1 || glued=
  done
  COMP_WORDS=("${words[@]}") COMP_CWORD=$(( ${#words[@]} - 1 ))
  whole=${COMP_WORDS[COMP_CWORD]}
  _shtab_paver "$@"
  [[ $whole == *:* && $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${whole%"${whole##*:}"}"}")
  return 0
}
complete -o bashdefault -F _paver paver
"""

_ZSH = """
# Asked at the TAB that needs them: words in the lists below would be asked for, all of them, at every TAB.
_paver_names() {
  local -a names=("${(@f)$(paver completion zsh --names $1 --line "${(@)words[1,CURRENT-1]}" 2>/dev/null)}")
  compadd -a names
}
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    parser.add_argument(
        "--names", choices=NAMES, help="print such names of the site at hand: what the script itself asks for"
    )
    parser.add_argument(
        "--line",
        nargs=argparse.REMAINDER,
        default=(),
        metavar="WORD",
        help="with --names, last: the words before the one at hand, which may name the site",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints a shell's completion script, or names that it asks for."""
    if arguments.names is not None:
        return _print_names(arguments)
    import shtab  # noqa: PLC0415 - only here

    from paver.cli import parsers  # noqa: PLC0415

    parser = parsers.whole()
    asked = {
        # The blank has zsh call it as it stands.
        names: {"zsh": f" _paver_names {names}"}
        if arguments.shell == "zsh"
        else shtab.cmd(f"paver completion {arguments.shell} --names {names} --line {_LINE[arguments.shell]}")
        for names in NAMES
    }
    _complete(parser, _known(), asked)
    script = shtab.complete(
        parser, arguments.shell, preamble=_ZSH if arguments.shell == "zsh" else ""
    ).rstrip("\n")
    out.line(script + (_BASH.rstrip("\n") if arguments.shell == "bash" else ""))
    return 0


def _print_names(arguments: argparse.Namespace) -> int:
    from paver.errors import PaverError  # noqa: PLC0415 - only here

    names = {"secrets": _secrets, "resources": _resources, "tools": _tools}[arguments.names]
    try:
        # A shell expands what it is given here, as what was typed: what it could take for more than a name is left out.
        out.lines(name for name in names(_named(arguments.line)) if _PLAIN.fullmatch(name))
    except PaverError:
        if arguments.shell != "tcsh":
            raise
        return 1
    return 0


def _named(line: Sequence[str]) -> argparse.Namespace:
    """Returns what the words of a line, as they were typed, say of where the site's files are."""
    found: dict[str, Path | None] = dict.fromkeys(_FILES.values())
    words = deque(word for typed in line for word in _plain(typed))
    while words:
        option, equals, value = words.popleft().partition("=")
        if option in _FILES and not equals and words and words[0] == "=":
            # bash takes `--site=x` for three words.
            words.popleft()
        if option in _FILES and (value or words):
            found[_FILES[option]] = _expanded(value or words.popleft())
    return argparse.Namespace(**found)


def _expanded(word: str) -> Path:
    try:
        return Path(word).expanduser()
    except RuntimeError:  # nobody of this name is at home here
        return Path(word)


def _plain(typed: str) -> list[str]:
    """Returns words without the quotes that they were typed with; none where quotes are still open."""
    try:
        return shlex.split(typed)
    except ValueError:
        return []


def _secrets(named: argparse.Namespace) -> Iterable[str]:
    """Returns the names of the secrets that the site's store has, and of those that it has to be given."""
    from paver.cli import opening  # noqa: PLC0415 - only here
    from paver.runs import compose  # noqa: PLC0415 - likewise
    from paver.trust.vault import Vault  # noqa: PLC0415 - likewise

    site, driver = opening.site_of(named, warn=False)
    path, memory = opening.sealed_of(named, site)
    found = Vault(path, None, "paver completion", memory).index()
    return sorted(
        {*compose.given(compose.compose(site, driver)), *(found.entries if found is not None else ())}
    )


def _resources(named: argparse.Namespace) -> Iterable[str]:
    """Returns the ids of the resources that the site is to have, and of their kinds."""
    from paver.cli import opening  # noqa: PLC0415 - only here
    from paver.runs import compose  # noqa: PLC0415 - likewise

    site, driver = opening.site_of(named, warn=False)
    return sorted(one.id for one in compose.compose(site, driver).resources)


def _tools(named: argparse.Namespace) -> Iterable[str]:
    """Returns the programs that have a way into the site."""
    from paver.cli import opening  # noqa: PLC0415 - only here
    from paver.runs import offers  # noqa: PLC0415 - likewise

    return offers.tools(*opening.site_of(named, warn=False))


def _known() -> Mapping[str, tuple[str, ...]]:
    """Returns the values of arguments that are known beforehand, by the argument's name."""
    from paver.runs import compose  # noqa: PLC0415 - only here
    from paver.sealed import passwords  # noqa: PLC0415

    installed = compose.drivers()
    phases = dict.fromkeys(phase for driver in installed.values() for phase in compose.phases(driver))
    return {
        "phase": tuple(phases),
        "driver": tuple(installed),
        "policy": tuple(passwords.POLICIES),
    }


_ASKED = {"only": "resources", "allow": "resources", "name": "secrets", "tool": "tools"}
"""Arguments whose values the site at hand has, by their names."""


def _complete(
    parser: argparse.ArgumentParser, known: Mapping[str, tuple[str, ...]], asked: Mapping[str, Any]
) -> None:
    """Lets the shell complete known values, names of the site, and paths where an argument takes one."""
    import shtab  # noqa: PLC0415

    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to go through them
        how: Any = None
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                _complete(child, known, asked)
        elif action.type is Path:
            how = shtab.DIRECTORY if action.metavar in {"DIR", "FOLDER"} else shtab.FILE
        elif action.choices is not None or "--name" in action.option_strings:
            continue
        elif action.dest in known:
            action.choices = known[action.dest]
        elif action.dest in _ASKED:
            how = asked[_ASKED[action.dest]]
        if how is not None:
            action.complete = how  # type: ignore[attr-defined]
