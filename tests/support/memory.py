"""The memory driver's module, loaded from its source: most tests need no wheel of it; what stands in its room, and kills in it."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[1] / "conformance" / "memory_driver" / "paver_memory" / "__init__.py"


def _loaded() -> Any:
    name = "paver_memory"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, _FILE, submodule_search_locations=[str(_FILE.parent)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(_FILE)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


memory: Any = _loaded()


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it but the test."""


def everything(room: Path) -> dict[str, Any]:
    """What stands in the room, without the marks' actions: these differ between two ways to one end."""
    found = {}
    for path in room.iterdir():
        if path.name != "trace":
            held = json.loads(path.read_text())
            for thing in held.values():
                if thing.get("mark"):
                    thing["mark"][2] = ""
            if held:
                found[path.name] = held
    return found


def killing(moment: int | None) -> Any:
    """Returns a room's write that ends the process at one moment."""
    write = memory.Room.write
    moments = itertools.count()

    def counted(self: Any, call: str, name: str, thing: Any) -> None:
        if next(moments) == moment:
            raise Killed
        write(self, call, name, thing)

    return counted
