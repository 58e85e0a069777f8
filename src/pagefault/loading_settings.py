"""The settings of loading, in ``config.toml``: limits of documents. Left out: keeping them (``ingest``)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LoadingSettings"]


class LoadingSettings(BaseModel):
    """The limits of documents, under ``[loading]``; a document over one is refused. ``memory``, ``file`` and
    ``download`` are in MB; ``private``: URLs of this machine and its network are loaded too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=120.0, gt=0.0, description="of the processor, and thrice as long in all")
    memory: int = Field(default=2048, ge=256, description="of the process that reads, on Linux")
    characters: int = Field(default=20_000_000, ge=1)
    pages: int = Field(default=20_000, ge=1)
    file: int = Field(default=512, ge=1)
    download: int = Field(default=128, ge=1)
    private: bool = False
