"""Compare answers with math-verify in a process that may be killed at any moment.

Run as a script: a supervisor imports math-verify once and forks a child that does the grading. The
child's alarm has its default action, so the kernel ends a grade that is out of time even inside a
big-integer operation; the supervisor reports that and forks the next child in milliseconds. One
request line in, one reply line out, never two requests in flight. This is the only module that
imports math-verify, and it imports nothing of the project: the process stays light and clean.
"""

import contextlib
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

from math_verify import parse, verify
from sympy import Basic, Eq, Expr, MatrixBase, UnevaluatedExpr

# Exit status of a child whose memory ran out: its state is doubtful, the next one takes over.
RETIRED = 3
# Two numbers that differ by a larger share than this are different whatever `verify` says.
LEADING = 1e-3
# Characters reported of an answer found in a text; it keeps a reply within an atomic write.
FOUND = 300
# Outcome, the answer found in a text without a box, and the step that decided it.
Verdict = tuple[str, str | None, str]
OUT_OF_MEMORY: Verdict = ("error", None, "memory")
WARM_UP = ((r"\frac{1}{2}", "0.5"), (r"\{1, x^2\}", r"\left(1, \sqrt{x}\right]"))


def parse_answer(text: str, *, boxed: bool) -> list[Any]:
    """Return math-verify's readings of `text`: expressions, then the text itself as a string.

    A boxed answer is the whole of its box: nothing is fished out of an expression that fails.
    """
    if boxed:
        return list(parse(f"\\boxed{{{text}}}", extraction_mode="first_match", parsing_timeout=None))
    return list(parse(text, parsing_timeout=None))


def far_apart(left: Basic, right: Basic) -> bool:
    """Return whether two numbers disagree in their leading digits.

    `verify` compares to a fixed number of decimals and chops small terms, so it takes 1e-7 for
    2e-7 and 2^-99 for 2^-98. A percentage is left to it.
    """
    both = (left, right)
    if not all(isinstance(side, Expr) and side.is_number for side in both):
        return False
    if any(side.has(UnevaluatedExpr) for side in both):
        return False
    a, b = (side.evalf(30) for side in both)
    return bool(abs(a - b) > LEADING * max(abs(a), abs(b)))


def compare(gold: Sequence[Any], answer: Sequence[Any], settings: dict[str, Any]) -> bool:
    """Return whether an answer matches; `verify` is not symmetric, and its order is fixed here."""
    if isinstance(answer[0], Eq) and far_apart(answer[0].lhs, answer[0].rhs):
        return False
    return not far_apart(gold[0], answer[0]) and bool(
        verify(
            list(gold),
            list(answer),
            float_rounding=settings["float_rounding"],
            numeric_precision=settings["numeric_precision"],
            allow_set_relation_comp=True,
            timeout_seconds=None,
            raise_on_error=True,
        )
    )


def grade(request: dict[str, Any], settings: dict[str, Any]) -> Verdict:
    """Return the verdict on one answer against every accepted gold form."""
    answer = parse_answer(request["answer"], boxed=request["boxed"])
    text = next((reading for reading in answer if isinstance(reading, str)), None)
    found = None if request["boxed"] or text is None else text[:FOUND]
    if not any(isinstance(reading, Basic | MatrixBase) for reading in answer):
        return "unparseable", found, "math_verify"
    failure = None
    for gold in request["golds"]:
        try:
            if compare(parse_answer(gold, boxed=True), answer, settings):
                return "correct", found, "math_verify"
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  a comparison may fail in any way; it is reported
            failure = type(error).__name__
    return ("error", found, failure) if failure else ("wrong", found, "math_verify")


def serve(settings: dict[str, Any], reply: int) -> int:
    """Answer requests from standard input until it ends; return the exit status."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    memory = settings["memory_limit"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with open(0, "rb", closefd=False) as requests:
        for line in requests:
            request = json.loads(line)
            signal.setitimer(signal.ITIMER_REAL, settings["time_limit"])
            try:
                verdict = grade(request, settings)
            except MemoryError:
                verdict = OUT_OF_MEMORY
            # math-verify takes most of its own MemoryErrors for a mismatch; the peak betrays them.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if verdict[0] != "correct" and peak > memory / 2:
                verdict = OUT_OF_MEMORY
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(reply, verdict)
            if verdict == OUT_OF_MEMORY:
                return RETIRED
    return 0


def send(reply: int, verdict: Verdict) -> None:
    """Write one reply; it is shorter than a pipe's atomic write, so it is never seen in part."""
    os.write(reply, json.dumps(verdict).encode() + b"\n")


def supervise(settings: dict[str, Any], reply: int) -> None:
    """Keep one serving child until it ends for any reason but its limits."""
    while True:
        child = os.fork()
        if child == 0:
            os._exit(serve(settings, reply))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == -signal.SIGALRM:
            send(reply, ("timeout", None, "time_limit"))
        elif status != RETIRED:
            return


def follow(parent: int) -> None:
    """End with the process that started this one, even if a fork of it still holds our pipe."""

    def check(*_: object) -> None:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)


def main() -> None:
    """Take settings from the command line, warm the parsers up and serve."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow(settings["parent"])
    reply = os.dup(1)
    os.dup2(2, 1)
    logging.disable()
    for gold, answer in WARM_UP:
        with contextlib.suppress(Exception):
            compare(parse_answer(gold, boxed=True), parse_answer(answer, boxed=True), settings)
    send(reply, ("ready", None, ""))
    with contextlib.suppress(BrokenPipeError):
        supervise(settings, reply)


if __name__ == "__main__":
    main()
