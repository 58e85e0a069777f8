"""Fakes and conformance suites, for our tests and for those of any outside back end.

``testing.models`` (scripted model), ``testing.memory`` (in-memory store), ``testing.clock``,
``testing.embedders``, ``testing.stores``: import what you need from its module.
"""
