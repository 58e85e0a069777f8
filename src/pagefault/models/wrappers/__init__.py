"""Wrappers of a model, each a model itself: retries, and function calling for models without it."""
