"""The parts of a report as values: sections of notes, tables, charts and samples.

Leaves out what they say (``contents``, ``tables``) and how they look (``page``, ``markdown``).
"""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.bench.report.charts import Chart

__all__ = ["Report", "ReportSection", "ReportTable", "Sample"]


@dataclass(frozen=True, slots=True)
class ReportTable:
    """``names``: so many columns at the left hold words, the others figures. ``published``: the columns that
    hold figures of the paper."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    names: int = 1
    published: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Sample:
    """An item with what each strategy replied."""

    question: str
    gold: str
    replies: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReportSection:
    """``key`` names it within the page; ``about`` is the line under the title."""

    key: str
    title: str
    about: str
    notes: tuple[str, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    charts: tuple[Chart, ...] = ()
    samples: tuple[Sample, ...] = ()
    judging: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    notes: tuple[str, ...]
    sections: tuple[ReportSection, ...]
