"""Charts drawn as SVG inside the page: colours come from its style sheet, so that they follow light and dark.

Written by hand: a plotting library weighs more than all of pagefault, and its pictures bring their own
colours and fonts. Leaves out any scale but a share from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import log10
from xml.etree.ElementTree import Element

from pagefault.bench.report.charts import Chart, Point, Series
from pagefault.bench.report.markup import element

__all__ = ["drawn"]

Across = Callable[[float], float]
"""From a value of the x axis to its place."""

_WIDTH, _HEIGHT = 720.0, 380.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 24.0, 16.0, 56.0
_HUES = 8  # of the style sheet
_APART = 5.0  # between the marks of two series at one place
_NEAREST = 26.0  # between two labels of the x axis


def drawn(chart: Chart) -> Element:
    """The chart with its title, legend and note."""
    hues = _hues(chart.series)
    legend = element("ul", *(_entry(s, hues[s.name]) for s in chart.series), class_="legend")
    return element(
        "figure",
        element("figcaption", chart.title),
        element("div", _picture(chart, hues), class_="scroll"),
        legend,
        element("p", chart.note, class_="note"),
    )


def _hues(series: Sequence[Series]) -> dict[str, str]:
    """A class for each series: by its place if measured, by its model if published."""
    models = list(dict.fromkeys(one.model for one in series if one.paper))
    measured = [one.name for one in series if not one.paper]
    found = {name: f"measured hue{number % _HUES}" for number, name in enumerate(measured)}
    for one in series:
        if one.paper:
            found[one.name] = f"paper model{models.index(one.model) % 3}{' memgpt' if one.memgpt else ''}"
    return found


def _entry(series: Series, hue: str) -> Element:
    line = element("line", x1=2, x2=34, y1=8, y2=8, class_="line")
    swatch = element("g", line, *([] if series.paper else [_mark(18, 8, hue)]), class_=hue)
    picture = element("svg", swatch, viewBox="0 0 36 16", width=36, height=16, aria_hidden="true")
    return element("li", picture, f" {series.name}")


def _picture(chart: Chart, hues: dict[str, str]) -> Element:
    values = sorted({point.x for series in chart.series for point in series.points})
    low, high = (_scaled(x, chart.log) for x in (values[0], values[-1]))

    def across(x: float) -> float:
        share = (_scaled(x, chart.log) - low) / (high - low) if high > low else 0.5
        return _LEFT + 20 + share * (_WIDTH - _LEFT - _RIGHT - 40)

    measured = [series for series in chart.series if not series.paper]
    layers = [_line(series, hues[series.name], across, 0) for series in chart.series if series.paper]
    for number, series in reversed(list(enumerate(measured))):
        shift = (number - (len(measured) - 1) / 2) * _APART
        layers.append(_line(series, hues[series.name], across, shift))
    axes = [*_y_axis(chart.y), *_x_axis(chart.x, [(x, across(x)) for x in values])]
    return element(
        "svg", element("title", chart.title), *axes, *layers,
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}", role="img", class_="chart",
    )  # fmt: skip


def _scaled(x: float, log: bool) -> float:
    return log10(max(x, 1e-9)) if log else x


def _down(y: float) -> float:
    return _TOP + (1 - min(1.0, max(0.0, y))) * (_HEIGHT - _TOP - _BOTTOM)


def _line(series: Series, hue: str, across: Across, shift: float) -> Element:
    places = [(across(point.x) + shift, point) for point in series.points]
    path = " ".join(f"{x:.1f},{_down(point.y):.1f}" for x, point in places)
    pieces = [element("polyline", points=path, class_="line")]
    for x, point in places:
        pieces += _whisker(x, point)
        pieces.append(_mark(x, _down(point.y), hue, f"{series.name}: {point.y:.3f} at {point.x:g}"))
    return element("g", *pieces, class_=hue)


def _whisker(x: float, point: Point) -> Iterator[Element]:
    if point.low is None or point.high is None:
        return
    top, bottom = f"{_down(point.high):.1f}", f"{_down(point.low):.1f}"
    yield element("path", d=f"M{x:.1f} {top}V{bottom}", class_="whisker")
    for end in (top, bottom):
        yield element("path", d=f"M{x - 3:.1f} {end}h6", class_="whisker")


def _mark(x: float, y: float, hue: str, says: str = "") -> Element:
    title = [element("title", says)] if says else []
    if hue.startswith("measured"):
        return element("circle", *title, cx=f"{x:.1f}", cy=f"{y:.1f}", r=4.5, class_="mark")
    return element("rect", *title, x=f"{x - 2.5:.1f}", y=f"{y - 2.5:.1f}", width=5, height=5, class_="mark")


def _y_axis(name: str) -> Iterator[Element]:
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        y = _down(tick)
        yield element("path", d=f"M{_LEFT:g} {y:.1f}H{_WIDTH - _RIGHT:g}", class_="grid")
        yield element("text", f"{tick:.1f}", x=_LEFT - 8, y=f"{y + 4:.1f}", text_anchor="end")
    middle = _TOP + (_HEIGHT - _TOP - _BOTTOM) / 2
    yield element(
        "text", name, transform=f"translate(16 {middle:.0f}) rotate(-90)", text_anchor="middle", class_="axis"
    )


def _x_axis(name: str, places: Sequence[tuple[float, float]]) -> Iterator[Element]:
    last = 0.0
    for value, x in places:
        yield element("path", d=f"M{x:.1f} {_HEIGHT - _BOTTOM:g}v5", class_="grid")
        if x - last >= _NEAREST:
            last = x
            yield element("text", f"{value:,g}", x=f"{x:.1f}", y=_HEIGHT - _BOTTOM + 20, text_anchor="middle")
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield element("text", name, x=middle, y=_HEIGHT - 8, text_anchor="middle", class_="axis")
