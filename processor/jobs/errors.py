"""Errors of job records.

JobRecordError
├── JobError      this record is damaged: it costs one record, the partition goes on
└── NewerFormat   a newer Tocsin wrote it: the partition must wait for an upgrade, nothing is dead-lettered
"""


class JobRecordError(Exception):
    """A record on a job topic that can't be read as a job."""


class JobError(JobRecordError):
    """A job record that no version can read; the message names the header."""


class NewerFormat(JobRecordError):  # noqa: N818 - a state of the installation rather than a fault of the record
    """A job record of a format newer than this version knows.

    found: the record's format; known: the newest this version reads.
    """

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"job record has format {found}, this version reads up to {known}: "
            "upgrade the sender before (or together with) the matcher"
        )
        self.found = found
        self.known = known
