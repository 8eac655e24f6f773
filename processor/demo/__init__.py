"""`tocsin demo`: the whole pipeline on one machine, with an embedded broker and a receiver that prints.

It shows the real thing: `tocsin run matcher` and `tocsin run sender` as processes, rules written by the rule
store, webhooks over HTTP with verified signatures. Nothing outside the machine is called and nothing that
the user has configured is touched: settings, broker and data are the run's own and go with it.

Start with run.py, which reads as the demo goes. It starts broker.py, receiver.py and roles.py (children.py is
what processes have in common), reads the events (sample.py) and the rules (rules.py), sends and times
(feed.py), waits (progress.py), and says what happens (screen.py, summary.py, by_hand.py).
"""
