"""The matcher: which rules an event fires, and the loop that turns events into jobs exactly once.

engine.py decides which rules fire (pure, one call per event), judge.py what becomes of an event (pure),
batch.py gathers what is judged until it is time to commit (pure). freshness.py waits until the rule table is
as new as the events, current.py has the rules by then. loop.py is the loop: fetch, wait, judge, commit;
writer.py the commit; service.py puts the parts together. For commands: trial.py tries rules on events, with
the reasons that explain.py finds, cases.py and backtest.py on many. Nothing here knows targets or secrets,
and nothing here writes to an event topic.
"""
