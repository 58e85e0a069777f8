"""Anthropic by pydantic-ai over real HTTP: the suite for models, cache marks, signatures, errors as ours."""

from __future__ import annotations

from adapters import AdapterConformance


class TestAnthropic(AdapterConformance):
    __test__ = True
    shape = "anthropic"
    wants_thinking_back = True
