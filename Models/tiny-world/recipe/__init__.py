"""How the model of the tiny world is made: its pictures, its words, its trainings, and what they reached.

Run from the folder above, with PyTorch, diffusers and transformers as `requirements.txt` says:

    python -m recipe --help
"""

import os

# The libraries would draw a bar for every file, and ask a server about models that lie here. Set before they are imported.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
