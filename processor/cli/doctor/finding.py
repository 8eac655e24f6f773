"""What one look found: whether it is right, and what to do if it isn't."""

from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["ok", "warning", "wrong", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. Only "wrong" makes the command fail; a warning is worth a thought."""

    status: Status
    check: str
    """connection, rights, transactions, topics or events."""
    subject: str
    """The topic, group, id or setting that was looked at."""
    reason: str = ""
    remedy: str = ""

    def to_json(self) -> dict[str, object]:
        """As `-o json` prints it; what is empty is null."""
        return {name: value or None for name, value in asdict(self).items()}
