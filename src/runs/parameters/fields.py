"""One field of the run parameters: its default, what it means, and what is allowed."""

from typing import Any

from pydantic import Field


def parameter(default: Any, description: str, allowed: str, **constraints: Any) -> Any:
    """One field: its default, what it means and, for error messages, what is allowed."""
    extra: dict[str, Any] = {"allowed": allowed}
    return Field(default, description=description, json_schema_extra=extra, **constraints)
