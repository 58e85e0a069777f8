"""Telemetry of the libraries that run models here, switched off before they are imported.

onnxruntime reports to its maker from the moment of its import, and keeps a device id and a database in the
user's cache folder; its function that disables this comes too late. Its variable is read once, at the
import. huggingface_hub, by which fastembed downloads, reads its own at its import too. Left out: programs
that imported onnxruntime before (docs/embedder.md).
"""

from __future__ import annotations

import os

__all__ = ["switch_telemetry_off"]

_VARIABLES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")


def switch_telemetry_off() -> None:
    """Set the variables for this process and its children; call it before the libraries are imported."""
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
