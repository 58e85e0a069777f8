"""Ollama's own protocol over real HTTP: the suite for models, the request, odd streams, errors as ours."""

from __future__ import annotations

from adapters import AdapterConformance


class TestOllama(AdapterConformance):
    __test__ = True
    shape = "ollama"
    arguments_are_text = False
    reports_cached = False
