"""Where logs come from: each source finds tails, reads them, and hands their lines to a `lines.Sink`."""
