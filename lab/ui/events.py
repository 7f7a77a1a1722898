"""How the page's events are queued and shown."""

from typing import Any

PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
QUICK: dict[str, Any] = {**PRIVATE, "queue": False}  # a setting never waits for a run
NEWEST: dict[str, Any] = {**QUICK, "trigger_mode": "always_last"}
