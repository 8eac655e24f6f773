"""What a process tells about itself: metrics, health, logs.

Start with `metrics.py` (every number there is), `health.py` (alive? ready? and the reason when not),
`server.py` (the port that shows both) and `logging.py` (one line per thing that happened).

Nothing here decides anything about events or jobs, and nothing here talks to Kafka: the roles report, this
package answers.
"""
