"""HtmlWriter: records, one by one -> the page, written at the end of the run."""

from __future__ import annotations

from analyzer.report.writer import Writer


class HtmlWriter(Writer):
    """The page."""
