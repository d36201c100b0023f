"""The lines that stem-bench and its peers speak: a JSON request a line on standard input, a JSON answer a line on standard output."""

import json
import os
import sys


def answer_lines(run):
    """Answers requests until the input ends. `run` takes one as a dictionary, and gives its answer as one."""
    # Whatever else a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            answer = run(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
