"""Results as Markdown."""

import statistics

from programs import EXACT, OURS, PROGRAMS, REFERENCE, references

TITLES = {"unet": "UNet", "vae": "Autoencoder", "text": "Text encoder", "inversion": "Inversion steps", "edit": "Whole edits"}
# Ours and what each is compared with.
PAIRS = (
    ("ours full", "PyTorch f32"), ("ours full", "OpenVINO f32"),
    ("ours mixed", "PyTorch bf16"), ("ours mixed", "OpenVINO bf16"),
    ("ours mixed", "PyTorch f32"), ("ours mixed", "OpenVINO f32"),
)  # fmt: skip
NOTHING = "–"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def digits(value):
    """Three significant ones."""
    if value is None:
        return NOTHING
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def gibibytes(count):
    return f"{count / 2**30:.1f}" if count else NOTHING


def duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def median(cell, key="seconds"):
    return statistics.median(cell[key]) if cell and cell.get(key) else None


def spread(cells):
    """The largest spread among cells that were measured more than once."""
    found = [(max(c["seconds"]) - min(c["seconds"])) / median(c) for c in cells if c and len(c.get("seconds", ())) > 1]
    return f"{100 * max(found):.0f} %" if found else NOTHING


def rounds(cells):
    counts = {len(c["seconds"]) for c in cells if c and c.get("seconds")}
    if not counts:
        return NOTHING
    text = str(min(counts)) if len(counts) == 1 else f"{min(counts)}–{max(counts)}"
    return text + (" (cold)" if any(c and c.get("cold") for c in cells) else "")


def problem(cell):
    if cell is None:
        return NOTHING
    if "failed" in cell:
        return "error: " + " ".join(cell["failed"].split()).replace("|", "/")[:100]
    if "skipped" in cell:
        return "skipped: " + cell["skipped"]
    return None


def shown(cell, text):
    return problem(cell) or (text(cell) or NOTHING)


def cell_of(case, program, run):
    return next((c for c in case["cells"] if (c["program"], c["run"]) == (program, run)), None)


def ratio(case, ours, peer, run, key="seconds"):
    """Of the medians of rounds that both took part in, where there are such; below 1 ours is faster."""
    mine, theirs = (cell_of(case, name, run) for name in (ours, peer))
    a, b = (median(cell, key) for cell in (mine, theirs))
    if not a or not b:
        return NOTHING
    if teams := theirs.get("seconds_of_team"):
        together = [seconds for seconds, team in zip(mine[key], mine["seconds_of_team"]) if team in teams]
        a = statistics.median(together) if together else a
    return digits(a / b)


def peaks(cases, programs):
    """Peak memory of the computation, and of the whole life with loading."""
    head = ["peak memory, GiB", *programs]
    rows, whole = [], dict.fromkeys(programs, 0)
    for case in cases:
        row = [case["name"]]
        for program in programs:
            mine = [c for c in case["cells"] if c["program"] == program]
            row.append(gibibytes(max((c.get("peak_bytes") or 0 for c in mine), default=0)))
            whole[program] = max(whole[program], *(c.get("life_peak_bytes") or c.get("peak_bytes") or 0 for c in mine), 0)
        rows.append(row)
    return table(head, [*rows, ["with loading", *(gibibytes(whole[program]) for program in programs)]])


def timed(cases):
    """The programs whose times are compared."""
    names = dict.fromkeys(c["program"] for case in cases for c in case["cells"])
    return [name for name in names if PROGRAMS[name].is_timed]


def has_times(cases):
    """Whether anything was timed, or only errors were looked for."""
    return any(cell["seconds"] for case in cases for cell in case["cells"])


def waiting(cases):
    """What disturbed the measurement."""
    alone = [
        f" In {case['name']} {team[0]} was measured by itself: beside ours it does not fit into memory."
        for case in cases
        for team in case["teams"]
        if len(team) == 1 and team[0] not in OURS and PROGRAMS[team[0]].is_timed
    ]
    most = lambda key: max((case.get(key) or 0 for case in cases), default=0)
    return (
        f"While a program computed, the others that waited took at most {most('idle_processors'):.2f} processors, anything else on the machine "
        f"{most('other_processors'):.2f}, and the host withheld {most('stolen_processors'):.2f}." + "".join(alone)
    )


def parts(cases):
    """UNet, autoencoder and text encoder: the same work in all programs."""
    programs = timed(cases)
    others = [p for p in programs if p != REFERENCE]
    of = lambda case, program: cell_of(case, program, case["cells"][0]["run"])
    errors = table(
        [f"relative L2 error against {REFERENCE}", *others],
        [[case["name"], *(shown(of(case, p), error) for p in others)] for case in cases],
    )
    if not has_times(cases):
        return errors
    pairs = [pair for pair in PAIRS if set(pair) <= set(programs)]
    items = lambda case: case["shape"][0]
    times = table(
        [f"seconds a {'text' if cases[0]['group'] == 'text' else 'frame'}", *programs, "rounds", "spread"],
        [
            [
                case["name"], *(shown(of(case, p), lambda c: digits(median(c) and median(c) / items(case))) for p in programs),
                rounds(case["cells"]), spread(case["cells"]),
            ]
            for case in cases
        ],
    )  # fmt: skip
    ratios = table(
        ["time ours ÷ theirs", *(f"{ours} ÷ {peer}" for ours, peer in pairs)],
        [[case["name"], *(ratio(case, ours, peer, case["cells"][0]["run"]) for ours, peer in pairs)] for case in cases],
    )
    return [*times, "", *ratios, "", *errors, "", *peaks(cases, programs), "", waiting(cases)]


def error(cell):
    return f"{cell['error']:.1e}" if cell.get("error") is not None else None


def error_and_reference(cell):
    """Says against whom, where it is not the reference that comes first."""
    expected = references(cell["run"])[0]
    other = "" if cell.get("reference", expected) == expected else f" (against {cell['reference']})"
    return error(cell) and error(cell) + other


def inversions(cases):
    programs = timed(cases)
    runs = ("ddim", "stem", "spatial-temporal")
    ours = [p for p in programs if p in OURS]
    judged = [(run, p) for run in runs for p in [*ours, *([REFERENCE] if EXACT in references(run) else [])]]
    errors = table(
        ["relative L2 error", *(f"{run}: {p}" for run, p in judged)],
        [[case["name"], *(shown(cell_of(case, p, run), error_and_reference) for run, p in judged)] for case in cases],
    )
    errors += ["", f"Errors are against {REFERENCE}, of stem against {EXACT} except where it says otherwise."]
    if not has_times(cases):
        return errors
    times = table(
        ["seconds a frame and step", "", *runs, "EM's share of stem", "stem ÷ ddim", "stem ÷ spatial-temporal", "rounds", "spread"],
        [inversion_row(case, program, runs) for case in cases for program in programs],
    )
    ratios = table(
        ["time ours ÷ theirs", *(f"{run}: {p} ÷ {REFERENCE}" for run in runs for p in ours)],
        [[case["name"], *(ratio(case, p, REFERENCE, run) for run in runs for p in ours)] for case in cases],
    )
    return [*times, "", *ratios, "", *errors, "", *peaks(cases, programs), "", waiting(cases)]


def inversion_row(case, program, runs):
    cells = {run: cell_of(case, program, run) for run in runs}
    ddim, stem, spatial_temporal = (cells.get(run) and median(cells[run]) for run in ("ddim", "stem", "spatial-temporal"))
    em = cells.get("stem") and median(cells["stem"], "em_seconds")
    against = [digits(stem / other) if stem and other else NOTHING for other in (ddim, spatial_temporal)]
    a_frame = lambda cell: digits(median(cell) and median(cell) / case["shape"][0])
    share = f"{100 * em / stem:.0f} %" if stem and em else NOTHING
    return [case["name"], program, *(shown(c, a_frame) for c in cells.values()), share, *against, rounds(cells.values()), spread(cells.values())]


def edits(cases):
    rows = []
    for case in cases:
        for cell in case["cells"]:
            ratios = [ratio(case, cell["program"], REFERENCE, "edit", key) for key in ("seconds", "computing_seconds")]
            if cell["program"] == REFERENCE:
                ratios = [NOTHING] * 2
            rows.append([
                " ".join([case["name"], *case["options"]]), cell["program"], shown(cell, lambda c: digits(median(c))),
                digits(median(cell, "computing_seconds")), *ratios, gibibytes(cell.get("peak_bytes")),
                *(f"{cell[key]:.2f}" if cell.get(key) else NOTHING for key in ("psnr", "truth_psnr")), rounds([cell]), spread([cell]),
            ])  # fmt: skip
    head = ["from clip to clip", "", "seconds", "without loading", f"÷ {REFERENCE}", "without loading", "peak memory, GiB"]
    return table([*head, f"PSNR against {REFERENCE}'s, dB", "against the truth, dB", "rounds", "spread"], rows)


def heading(machine, options):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    settings = ", ".join(f"{name}={value}" for name, value in machine["settings"].items()) or "none"
    rows = [
        ("processor", machine["processor"] + (", virtual machine" if machine["is_virtual"] else "")),
        ("processors used", f"{machine['threads']} of {machine['processors']}"),
        ("instruction sets", " ".join(machine["instruction_sets"])),
        ("memory", f"{gibibytes(machine['memory_bytes'])} GiB"),
        ("system", machine["system"]),
        ("stemd", machine["commit"]),
        ("versions", versions),
        ("settings in the environment", settings),
        ("load average before", f"{machine['load_average']:.2f}"),
        ("model", options["model"]),
        ("command", f"`{machine['command']}`"),
        ("date", machine["date"]),
    ]
    return ["# Benchmark", "", *table(["", ""], [[key, str(value)] for key, value in rows])]


def markdown(results):
    lines = heading(results["machine"], results["options"])
    sections = {"inversion": inversions, "edit": edits}
    for group, title in TITLES.items():
        cases = [case for case in results["cases"] if case["group"] == group]
        if cases:
            lines += ["", f"## {title}", "", *sections.get(group, parts)(cases)]
    return "\n".join(lines) + "\n"
