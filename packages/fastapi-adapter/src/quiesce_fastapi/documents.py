"""What all documents of the API have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

ModeName = Literal["normal", "emergency", "test"]


class Document(BaseModel):
    """A JSON object with exactly these members."""

    model_config = ConfigDict(extra="forbid")
