"""YAML files: those that are shipped, and what is wrong with one that somebody changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read(path: Path) -> Any:
    """Return what a file holds.

    Raises:
        ValueError: with the file, the place and what is wrong there.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text("utf-8"), loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ValueError(f"{path}{place}: {getattr(error, 'problem', None) or 'is not YAML'}") from None
    except UnicodeError as error:
        raise ValueError(f"{path}: {error}") from None
