"""Build hook: puts the compiled rule index beside the rule files of the wheel.

rules/*.yaml -> analyzer/rules/index.json. The index is what a start of negdiag reads instead of
sixty YAML files; it is made by analyzer/diagnosis/compile.py, which needs PyYAML and nothing else.
An editable install has none: there the rules are read as they stand in the checkout.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RuleIndexHook(BuildHookInterface[Any]):
    """Adds analyzer/rules/index.json to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        self._folder = tempfile.TemporaryDirectory()
        index = Path(self._folder.name) / "index.json"
        _load(root / "analyzer" / "diagnosis" / "compile.py").write_index(root / "rules", index)
        build_data["force_include"][str(index)] = "analyzer/rules/index.json"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def _load(path: Path) -> ModuleType:
    """The module at `path`, without its package: the package's dependencies are not here yet."""
    spec = importlib.util.spec_from_file_location("rule_compiler", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
