"""The tokenizer: CLIP's byte pair encoding, its merges learned from the grammar, in the layout of transformers' CLIPTokenizer.

The vocabulary is CLIP's in small: all bytes, all bytes that end a word, the merges, start and end. So any text has tokens, and a word
that the grammar has is one token.
"""

import json
import random

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from .files import written_aside
from .grammar import caption
from .scene import Scene

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 32
CORPUS = 30_000
# CLIP's words: contractions, runs of letters, single digits, runs of anything else.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_letters():
    """The printable letter that stands for each byte, in CLIP's (GPT-2's) order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def learned_merges(seed):
    """The pairs of tokens to join, the most frequent first, until every word of the grammar is one token."""
    chance = random.Random(seed)
    captions = (caption(Scene.drawn(chance, held_out=None), chance) for _ in range(CORPUS))
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORDS), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(vocab_size=4096, min_frequency=2, end_of_word_suffix="</w>", show_progress=False)
    learner.train_from_iterator(captions, trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]


def write(folder, seed=0):
    """Learns a tokenizer and writes it."""
    merges = learned_merges(seed)
    letters = byte_letters()
    tokens = letters + [letter + "</w>" for letter in letters] + [first + second for first, second in merges] + [START, END]
    configuration = {
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
        "model_max_length": LENGTH,
        "tokenizer_class": "CLIPTokenizer",
        "do_lower_case": True,
    }
    # Two merges may give the same token.
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    with written_aside(folder) as aside:
        aside.mkdir()
        (aside / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n", encoding="utf-8")
        (aside / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
        (aside / "tokenizer_config.json").write_text(json.dumps(configuration, indent=2) + "\n")


def opened(folder):
    return CLIPTokenizer.from_pretrained(folder)


def encoded(tokenizer, prompts):
    """Ids, (prompts, LENGTH), padded with the end's."""
    return tokenizer(prompts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
