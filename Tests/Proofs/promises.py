"""What a proof measured, and which of the service's promises held."""

import sys


class Promises:
    """Collects rows while a proof runs; `settle` prints them as a table, and ends the program with 1 where a promise was broken."""

    def __init__(self, title):
        self.title = title
        self.rows = []
        self.details = []

    def measured(self, what, value):
        """A figure that nothing was promised about."""
        self.rows.append((what, value, "", ""))

    def promised(self, what, value, target, kept):
        """A figure, what was promised about it as text, and whether it was kept."""
        self.rows.append((what, value, target, "kept" if kept else "BROKEN"))

    def nothing_of(self, what, found):
        """Promises that `found`, a list of sentences, is empty; prints the first ones where it is not."""
        self.promised(what, len(found), "0", not found)
        self.details += [f"{what}: {sentence}" for sentence in found[:20]]
        if len(found) > 20:
            self.details.append(f"{what}: and {len(found) - 20} more")

    def settle(self):
        rows = [(self.title, "measured", "promised", "")] + [tuple(map(str, row)) for row in self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        print()
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0])).rstrip())
        for detail in self.details:
            print(detail)
        sys.stdout.flush()
        sys.exit(1 if any(row[3] == "BROKEN" for row in self.rows) else 0)


def say(text):
    """A line about what is going on, for the one who waits."""
    print(text, file=sys.stderr, flush=True)


def median(values):
    values = sorted(values)
    return values[len(values) // 2] if values else float("nan")


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"


def mebibytes(count):
    return f"{count / (1 << 20):.1f} MiB"
