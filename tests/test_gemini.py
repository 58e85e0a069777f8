"""Gemini by pydantic-ai over real HTTP: the suite for models, signatures, errors as ours."""

from __future__ import annotations

from adapters import AdapterConformance


class TestGemini(AdapterConformance):
    __test__ = True
    shape = "gemini"
    arguments_are_text = False
