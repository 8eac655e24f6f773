"""Benchmarks: how much Tocsin costs beside the least that the same work can cost, on real Kafka.

`python -m benchmarks` (`make bench`) starts a broker of its own, lets baseline and product take turns and
writes one Markdown table; `python -m benchmarks.steps` (`make profile`) says where the matcher's microseconds
go, `python -m benchmarks.delivery_steps` where the sender's do. Absolute figures mean little on a shared
machine, ratios of one run do. docs/benchmarks.md says what is compared with what, and why that is fair.
Nothing here talks to anything but 127.0.0.0/8.

Start with __main__.py. scale.py says how much of everything, ground.py what the scenarios stand on,
workload.py and webhooks.py what they work on. The scenarios are matcher.py, latency.py, engine.py, sender.py,
isolation.py and waiting.py; raw_matcher.py, bare_sender.py and receiver.py are processes of their own.
"""
