"""The language of the prompts: how people may speak of a scene, and what a prompt says about one.

A prompt names an object and may say its color, material and what it stands on; where no light or style is named it means a photo by day. Every wording is
listed here; `caption` puts one together, `parse` takes one apart.
"""

import re

from .attributes import ATTRIBUTES

# The first wording of each is the plain one. Nouns, and adjectives before them:
NOUNS = {"ball": ["ball", "sphere"], "cube": ["cube", "box"], "cylinder": ["cylinder"], "cone": ["cone"]}
COLOR_WORDS = {color: [color] for color in ATTRIBUTES["color"]} | {"purple": ["purple", "violet"]}
MATERIAL_WORDS = {"rubber": ["rubber", "matte"], "metal": ["metal", "shiny"]}
MATERIAL_PHRASES = {"rubber": ["made of rubber"], "metal": ["made of metal"]}
GROUND_PHRASES = {
    "grass": ["on grass", "on the grass", "on a lawn"],
    "sand": ["on sand", "on the sand", "in the desert"],
    "snow": ["on snow", "on the snow", "in the snow"],
    "wooden floor": ["on a wooden floor", "on wood"],
    "checkered floor": ["on a checkered floor", "on tiles"],
}
SKY_PHRASES = {
    "day": ["", "in daylight", "under a blue sky"],
    "sunset": ["at sunset", "at dusk"],
    "night": ["at night", "in the moonlight"],
}
# Before the object, or behind everything after a comma.
STYLE_BEFORE = {
    "photo": ["a photo of", "", "a picture of"],
    "watercolor": ["a watercolor of", "a watercolor painting of"],
    "pencil sketch": ["a pencil sketch of", "a pencil drawing of", "a drawing of"],
    "pixel art": ["pixel art of"],
}
STYLE_BEHIND = {
    "photo": ["photo"],
    "watercolor": ["watercolor", "watercolor style"],
    "pencil sketch": ["pencil sketch"],
    "pixel art": ["pixel art"],
}
# What the object does, or seems to: a picture shows nothing of it.
VERBS = ["rolling", "moving", "sliding", "standing"]
SENTENCE_VERBS = VERBS + ["is moving", "is rolling"]  # where no "photo of" is before the object

# How the parts may follow each other.
ORDERS = [
    "{style} {object} {verb} {ground} {sky}",  # the plain one
    "{style} {object} {verb} {sky} {ground}",
    "{object} {verb} {ground} {sky}, {style}",
    "{sky}, {style} {object} {verb} {ground}",
]


def joined(order, **parts):
    """The parts in this order, with no space or comma where one is empty."""
    text = re.sub(r"\s+", " ", order.format(**parts))
    return re.sub(r"\s+,", ",", text).strip(" ,")


def with_article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def plain(scene):
    """The plain wording, which names everything but the day: "a photo of a red metal ball on sand at sunset"."""
    return worded(scene)


def worded(scene, attribute=None, wording=None):
    """The plain wording but for one attribute's, such as worded(scene, "shape", "sphere").

    wording: one of `wordings(attribute, value)`, which also names those that stand elsewhere: "made of metal", ", watercolor".
    """
    value = lambda name, phrases: wording if attribute == name else phrases[getattr(scene, name)][0]
    material, behind = value("material", MATERIAL_WORDS), ""
    if material.startswith("made of"):
        material, behind = "", " " + material
    words = [value("color", COLOR_WORDS), material, value("shape", NOUNS)]
    if material in ("matte", "shiny"):
        words = [words[1], words[0], words[2]]
    style, order = value("style", STYLE_BEFORE), ORDERS[0]
    if style.startswith(", "):
        style, order = style[2:], ORDERS[2]
    return joined(
        order,
        style=style,
        object=with_article(" ".join(word for word in words if word)) + behind,
        verb="",
        ground=value("ground", GROUND_PHRASES),
        sky=value("sky", SKY_PHRASES),
    )


def wordings(attribute, value):
    """All ways to say that a scene's attribute is this; the plain one first."""
    return {
        "color": lambda: COLOR_WORDS[value],
        "shape": lambda: NOUNS[value],
        "material": lambda: MATERIAL_WORDS[value] + MATERIAL_PHRASES[value],
        "ground": lambda: GROUND_PHRASES[value],
        "sky": lambda: SKY_PHRASES[value],
        "style": lambda: STYLE_BEFORE[value] + [", " + words for words in STYLE_BEHIND[value]],
    }[attribute]()


def caption(scene, random):
    """A prompt for the scene by chance, as somebody may write it. Color, material and ground may go unsaid; light and style do not, but day and photo."""
    adjectives, behind = [], ""
    if random.random() < 0.95:
        adjectives.append(random.choice(COLOR_WORDS[scene.color]))
    if random.random() < 0.65:
        words = random.choice(MATERIAL_WORDS[scene.material] + MATERIAL_PHRASES[scene.material])
        if words.startswith("made of"):
            behind = " " + words
        elif words in ("matte", "shiny"):
            adjectives.insert(0, words)
        else:
            adjectives.append(words)
    thing = with_article(" ".join(adjectives + [random.choice(NOUNS[scene.shape])])) + behind
    ground = random.choice(GROUND_PHRASES[scene.ground]) if random.random() < 0.94 else ""
    # The plain wording is what people write most.
    order = random.choices(ORDERS, [0.55, 0.1, 0.2, 0.15])[0]
    sky = random.choice(SKY_PHRASES[scene.sky]) if scene.sky != "day" or random.random() < 0.3 else ""
    before = not order.endswith("{style}")
    style = random.choice((STYLE_BEFORE if before else STYLE_BEHIND)[scene.style])
    if scene.style == "photo" and not before and random.random() < 0.7:
        style = ""
    verb = random.choice(VERBS if before and style else SENTENCE_VERBS) if random.random() < 0.3 else ""
    return joined(order, style=style, object=thing, verb=verb, ground=ground, sky=sky)


def vocabulary():
    """Every phrase that says something: the words, and (attribute, value)."""
    table = {}
    for attribute, values in ATTRIBUTES.items():
        for value in values:
            for words in wordings(attribute, value):
                words = re.sub(r"^an? ", "", re.sub(r" of$", "", words.strip(", ")))
                if words:
                    table[tuple(words.split())] = (attribute, value)
    return table


PHRASES = vocabulary()
LONGEST = max(map(len, PHRASES))
FILLERS = {"a", "an", "of"} | {word for verb in SENTENCE_VERBS for word in verb.split()}
UNSAID = {"sky": "day", "style": "photo"}


def spoken(prompt):
    """The phrases of a prompt that say something, in its order: (attribute, value, words). Raises ValueError where it holds a word that the grammar does not know."""
    words = re.findall(r"[a-z]+", prompt.lower())
    found, at = [], 0
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            phrase = tuple(words[at : at + length])
            if phrase in PHRASES:
                found.append((*PHRASES[phrase], " ".join(phrase)))
                at += length
                break
        else:
            if words[at] not in FILLERS:
                raise ValueError(f"'{prompt}' holds '{words[at]}', which the grammar does not know")
            at += 1
    return found


def parse(prompt):
    """What a prompt says of the scene, by attribute; sky and style are never left open.

    Raises ValueError where it holds a word that the grammar does not know, or says two things of one attribute.
    """
    said = {}
    for attribute, value, _ in spoken(prompt):
        if said.get(attribute, value) != value:
            raise ValueError(f"'{prompt}' says of the {attribute} both '{said[attribute]}' and '{value}'")
        said[attribute] = value
    return UNSAID | said


def order_of(prompt):
    """Which of ORDERS a prompt has; the plain one where the others would look the same."""
    attributes = [attribute for attribute, _, _ in spoken(prompt)]
    if attributes[0] == "sky":
        return ORDERS[3]
    if attributes[-1] == "style":
        return ORDERS[2]
    if "sky" in attributes and attributes[-1] == "ground":
        return ORDERS[1]
    return ORDERS[0]
