"""The log scanner: lines of container logs in, events on the event log out.

What this package decides: which scan rules hold for a workload, which of them a line fires, whether a
cooldown or a bucket holds the hit back, and what the event says. What it never does: know trigger rules or
jobs, or lose count of a line that should have become an event.

Start at lines.py, what a source hands over. rule.py and effective.py say what holds for a workload; sources/
are the places logs come from.
"""
