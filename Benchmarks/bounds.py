"""What errors are allowed, and which are beyond that."""

from programs import EXACT, OURS, REFERENCE, references
from report import cell_of

FULL = 1e-4
# STEM finds its bases by a softmax at a temperature of 0.01, which makes much of little: with the random model of full size a relative
# change of 1e-5 of the input changes its output by 4.4e-4, in 64 bits, and that of plain attention by 1.2e-5. So rounding elsewhere
# may come out this much larger, and ours may be off by this much more than PyTorch in 32 bits, where near-ties decide.
AMPLIFICATION = 100
AS_PYTORCH = 2


def bound(case, cell):
    """The largest error that is allowed, and whose it is; None where nothing is promised."""
    of = lambda program: (cell_of(case, program, cell["run"]) or {}).get("error")
    if cell["program"] == "ours mixed":
        peer = of("PyTorch bf16")
        return (peer, "PyTorch bf16's") if peer is not None else None
    if EXACT not in references(cell["run"]):
        return FULL, "what full precision may have"
    own, plain = of(REFERENCE), (cell_of(case, cell["program"], "ddim") or {}).get("error")
    if cell.get("reference") != EXACT or own is None or plain is None:
        return None
    return max(FULL, AMPLIFICATION * plain, AS_PYTORCH * own), f"what follows from ddim's {plain:.1e} and {REFERENCE}'s {own:.1e}"


def problem(case, cell):
    """What is wrong with one of our cells, if anything."""
    if "failed" in cell:
        return cell["failed"]
    if "reference" not in cell:
        reference = cell_of(case, REFERENCE, cell["run"]) or {}
        return None if "skipped" in reference else f"nothing to compare with: {reference.get('failed', f'no {REFERENCE}')}"
    if cell["error"] is None:
        return "the output is not finite"
    allowed = bound(case, cell)
    if allowed and cell["error"] > allowed[0]:
        return f"the error {cell['error']:.1e} is above {allowed[0]:.1e}, {allowed[1]}"
    return None


def judge(cases):
    """Sentences about what is wrong, and how many errors were judged."""
    ours = [(case, cell) for case in cases if case["group"] != "edit" for cell in case["cells"] if cell["program"] in OURS]
    ours = [(case, cell) for case, cell in ours if "skipped" not in cell]
    wrong = [f"{case['name']}, {cell['run']}, {cell['program']}: {said}" for case, cell in ours if (said := problem(case, cell))]
    return wrong, sum(1 for case, cell in ours if cell.get("error") is not None and bound(case, cell))
