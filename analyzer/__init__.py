"""negdiag: why an SMB negotiation failed, from a packet capture.

`analyze("capture.pcap")` returns a Report with pandas DataFrames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.errors import Error
from analyzer.version import __version__

if TYPE_CHECKING:
    from analyzer.pipeline import analyze
    from analyzer.report.result import Report

__all__ = ["Error", "Report", "__version__", "analyze"]


def __getattr__(name: str) -> object:
    # Importing the package loads nothing heavy: the names that need numpy come when they are used.
    if name == "analyze":
        from analyzer.pipeline import analyze

        return analyze
    if name == "Report":
        from analyzer.report.result import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
