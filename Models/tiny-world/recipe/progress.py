"""Lines that say how far a stage is."""

import sys
import time


def say(line):
    print(line, file=sys.stderr, flush=True)


def duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Progress:
    """Tells at most every INTERVAL seconds, and at the end, what is done, and how long the rest will take at the pace until now.

    end: of what is counted; begun: how much was done before.
    """

    INTERVAL = 10

    def __init__(self, name, end, begun=0):
        self.name, self.end, self.begun = name, end, begun
        self.start = self.told = time.monotonic()

    def tell(self, done, figures):
        """figures: a function that gives what else to say, called only when a line is due."""
        now = time.monotonic()
        if now - self.told < self.INTERVAL and done < self.end:
            return
        self.told = now
        pace = (now - self.start) / max(done - self.begun, 1e-9)
        say(f"{self.name}: {done:.0f} of {self.end:.0f}, {figures()}, {duration(pace * (self.end - done))} left")
