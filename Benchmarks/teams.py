"""Which programs of a case alternate, so that all that do fit into memory together."""

from programs import OURS, PROGRAMS

# Of the machine's memory; the rest is the system's, and a reserve for what was estimated.
SHARE = 0.92


class Teams:
    def __init__(self, estimate, memory):
        self.estimate, self.memory = estimate, memory

    def fit(self, case, names):
        kept = sum(self.estimate.kept_bytes(name, case) for name in names)
        taken = max(self.estimate.taken_bytes(name, case) for name in names)
        # Those that map the model's file share its pages.
        return kept + taken + self.estimate.weights(case) < SHARE * self.memory

    def of(self, case, names):
        """Lists of programs: all in one, where they fit; else ours are in several, each with as many of the others as fit. Who does not
        even fit beside ours is alone, and so is who is not timed."""
        ours = [name for name in names if name in OURS]
        teams = [list(ours)] if ours else []
        for peer in (name for name in names if name not in OURS and PROGRAMS[name].is_timed):
            home = next((team for team in teams if set(ours) <= set(team) and self.fit(case, [*team, peer])), None)
            if home is None:
                home = list(ours) if self.fit(case, [*ours, peer]) else []
                teams.append(home)
            home.append(peer)
        return [[name] for name in names if not PROGRAMS[name].is_timed] + teams
