"""The admin API over HTTP: rules are read, written and tried, deliveries looked at and put back.

Decides who may ask (access.py, limits.py), what a request means, and how an answer or a failure is said
(answers.py, problems.py). It decides nothing about rules: what they may hold, how they are written and what
becomes of them is the same code that the command line, the matcher and the sender use. It never writes to a
topic but through processor.rules' store and processor.delivery's redelivery.

Start with operations.py, the table of everything that is served; routes and the OpenAPI document (openapi.py)
are made from it. server.py lets callers in; service.py owns the event loop and the threads.
"""
