"""The memory driver's module, loaded from its source: most tests need no wheel of it."""

from __future__ import annotations

import importlib.util
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
