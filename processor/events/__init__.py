"""Events: what a record of the event log says, and whether it can be read at all.

What this package decides: the three texts that rules are judged by, the bytes that go into a webhook's body,
and which records are unreadable and why. What it never does: match, count, or write anything anywhere. It is
pure. Start at `EventDecoder`; lookup.py finds a field by its path, text.py mends what Go's encoding/json
mends, depth.py keeps nesting within what the decoder can bear. document.py decodes all of an event.
"""

from processor.events.decoder import EventDecoder, Texts
from processor.events.document import document
from processor.events.event import Event, EventFields, Reason, Unreadable

__all__ = ["Event", "EventDecoder", "EventFields", "Reason", "Texts", "Unreadable", "document"]
