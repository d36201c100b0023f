"""How a check fails, and how the outcome shows."""

import re
import sys
import time
import traceback


class Broken(Exception):
    def __init__(self, expected, came):
        super().__init__(expected)
        self.expected = expected
        self.came = came


def expect(kept, expected, came):
    """Breaks the check unless `kept`; the others are sentences or values for whoever reads the failure."""
    if not kept:
        raise Broken(expected, came)


def expect_match(pattern, text, expected):
    """The match of a pattern that has to be somewhere in the text."""
    found = re.search(pattern, text, re.MULTILINE)
    expect(found, f"{expected} (/{pattern}/)", text)
    return found


class Report:
    """Runs checks one after the other: a line for each, and for a broken one all that helps."""

    def __init__(self, journal):
        """`journal` gives the last lines of the machine's journal."""
        self.journal = journal
        self.broken = []

    def run(self, check, *arguments):
        """Whether it held. A check is a function; the first line of its description is the promise."""
        promise = check.__doc__.splitlines()[0]
        begun = time.monotonic()
        try:
            try:
                check(*arguments)
            except (ValueError, LookupError, OSError) as error:
                raise Broken("the machine answers as it was asked", "".join(traceback.format_exception(error))) from error
        except Broken as broken:
            self.broken.append(check.__name__)
            print(f"BROKEN  {promise}  [{check.__name__}]")
            print(_indented("expected", str(broken.expected)))
            print(_indented("came", str(broken.came)))
            print(_indented("journal", self.journal()))
            return False
        finally:
            sys.stdout.flush()
        print(f"kept    {promise}  ({time.monotonic() - begun:.1f} s)", flush=True)
        return True


def _indented(what, text, most=40):
    lines = text.rstrip().splitlines() or ["(nothing)"]
    if len(lines) > most:
        lines = [f"… {len(lines) - most} lines before", *lines[-most:]]
    return "\n".join(f"    {what + ':' if number == 0 else '':<10}{line}" for number, line in enumerate(lines))
