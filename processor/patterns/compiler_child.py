"""The process that compiles: `python -m processor.patterns.compiler_child MEMORY_BYTES IDLE_SECONDS`.

Reads questions as frames of JSON from standard input. `{"together": [[plain, wide], ...]}` is answered by two
frames, the reasons of what was refused by place, as JSON, and the serialised database of the rest;
`{"alone": [[plain, wide], ...]}` by an empty frame for each pair once it has been compiled by itself;
`{"gate": [source, ...], "sample": [text, ...]}` by a CompiledGate for these patterns, as bytes. What
goes wrong ends the process: whoever asked finds out over which pair.
"""

import json
import os
import queue
import resource
import sys
import threading
from typing import BinaryIO, Final

from processor.patterns.child import IDLE_EXIT, read_frame, write_frame
from processor.patterns.database import compile_serialised, refused_by_hyperscan
from processor.patterns.errors import RefusedByHyperscanError
from processor.patterns.gate import compile_gate

_NICENESS: Final = 10

Forms = list[tuple[str, str]]


def main(memory_bytes: int, idle_seconds: float) -> None:
    """Answers until standard input ends or nothing is asked for `idle_seconds`."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, questions), daemon=True).start()
    answers = sys.stdout.buffer
    while True:
        try:
            question = json.loads(questions.get(timeout=idle_seconds))
        except queue.Empty:
            os._exit(IDLE_EXIT)
        if "together" in question:
            refused, serialised = together(question["together"])
            write_frame(answers, json.dumps(refused).encode())
            write_frame(answers, serialised)
        if "gate" in question:
            sample = [text.encode() for text in question["sample"]]
            write_frame(answers, compile_gate(question["gate"], sample).to_bytes())
        for form in question.get("alone", ()):
            together([form])
            write_frame(answers, b"")


def _read(source: BinaryIO, questions: "queue.Queue[bytes]") -> None:
    """In a thread, so that the end of the asking process also ends a busy child: Hyperscan compiles without
    the interpreter's lock.
    """
    while (question := read_frame(source)) is not None:
        questions.put(question)
    os._exit(1)


def together(forms: Forms) -> tuple[dict[int, str], bytes]:
    """The reasons, by place, for what Hyperscan refuses in both forms, and the database of the rest."""
    chosen = {at: plain for at, (plain, _) in enumerate(forms)}
    refused: dict[int, str] = {}
    while True:
        places, sources = list(chosen), list(chosen.values())
        try:
            return refused, compile_serialised(sources)
        except RefusedByHyperscanError:
            # What is refused only in building is refused alone as well.
            found = refused_by_hyperscan(sources) or _refused_alone(sources)
            if not found:
                raise
        for index, reason in found.items():
            at = places[index]
            wide = forms[at][1]
            if chosen[at] != wide:
                chosen[at] = wide
            else:
                del chosen[at]
                refused[at] = f"Hyperscan refuses it: {reason}"


def _refused_alone(sources: list[str]) -> dict[int, str]:
    refused = {}
    for index, source in enumerate(sources):
        try:
            compile_serialised([source])
        except RefusedByHyperscanError as error:
            refused[index] = str(error)
    return refused


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
