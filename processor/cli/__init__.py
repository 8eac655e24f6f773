"""The command `tocsin`: one module per command, each with `add_parser` and `run`.

Start with `main.py`: it finds the command, reads the settings, and turns errors (`errors.py`) into one line
and an exit code: 0 done, 1 failed, 2 wrong usage or configuration. Results go to standard output
(`output.py`: a table or JSON), logs and errors to standard error. A command module puts the parts together
and decides nothing about events, rules or jobs.
"""
