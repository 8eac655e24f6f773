"""The webhook job record: what the matcher hands to the sender.

Decides the job's id, its partition key, its body and its headers, in both directions. Never decides whether a
job is sent, knows no target and no secret, does no I/O. Start with record.py (the headers); build.py is the
matcher's fast way to write new jobs.
"""

from processor.jobs.body import BodyTemplate, format_second
from processor.jobs.build import EventJobs, RuleJobs
from processor.jobs.errors import JobError, JobRecordError, NewerFormat
from processor.jobs.ids import SHARDS, job_id, job_key, shard
from processor.jobs.record import JOB_FORMAT, JobHeaders, checked_traceparent

__all__ = [
    "JOB_FORMAT",
    "SHARDS",
    "BodyTemplate",
    "EventJobs",
    "JobError",
    "JobHeaders",
    "JobRecordError",
    "NewerFormat",
    "RuleJobs",
    "checked_traceparent",
    "format_second",
    "job_id",
    "job_key",
    "shard",
]
