"""Reading of YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read(path: Path) -> Any:
    """Return the content of a file.

    Raises:
        ValueError: the file is invalid; the text gives the file, the place and the reason.
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
