"""The sender: takes webhook jobs from their topics, calls the receivers, and writes down what came of it.

Decides whether a job is sent, when it is tried again and when it is given up; never changes a rule, never
writes to an event topic, never calls an address that egress refuses. The decisions are pure modules:
decide.py (send, cancel, hold), tiers.py (where a job waits), retry.py (what follows an attempt),
watermark.py (what is committed), lease.py (whether this process may still act). http.py makes the calls;
outcome.py is the value that they all speak of: start there.
"""
