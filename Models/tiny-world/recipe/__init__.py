"""How the model of the tiny world is made: its pictures, its words, its trainings, and what they reached.

Run from the folder above, with PyTorch, diffusers and transformers as `requirements.txt` says:

    python -m recipe --help
"""
