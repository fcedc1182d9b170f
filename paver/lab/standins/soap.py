"""pyVmomi's names, untyped: its stubs know neither its own constructors nor what may be unset."""

from __future__ import annotations

import importlib
from typing import Any

_pyvmomi: Any = importlib.import_module("pyVmomi")
vim: Any = _pyvmomi.vim
vmodl: Any = _pyvmomi.vmodl
SoapStubAdapter: Any = _pyvmomi.SoapStubAdapter
