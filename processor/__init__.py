"""Tocsin: when an event like this appears on Kafka, call that URL.

DESIGN.md maps the packages; each package's docstring says what it decides, what it never does, and where to
start.
"""

__version__ = "0.1.0"
