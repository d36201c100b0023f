"""What a scene of the tiny world is made of, and which combinations of it the model never sees a picture of."""

COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
SHAPES = ("ball", "cube", "cylinder", "cone")
MATERIALS = ("rubber", "metal")
GROUNDS = ("grass", "sand", "snow", "wooden floor", "checkered floor")
SKIES = ("day", "sunset", "night")
STYLES = ("photo", "watercolor", "pencil sketch", "pixel art")

# In the order in which everything here names them.
ATTRIBUTES = {"color": COLORS, "shape": SHAPES, "material": MATERIALS, "ground": GROUNDS, "sky": SKIES, "style": STYLES}


def is_held_out(color, shape, ground):
    """Whether the model may not have seen the three together, in any material, light or style: one in ten.

    The sixteen combinations are spread so that every color is in two of them, every shape in four, every ground in three or four, and no two
    attributes are ever held out as a pair: what is tested is putting together what was seen apart.
    """
    return (3 * COLORS.index(color) + SHAPES.index(shape) + 4 * GROUNDS.index(ground)) % 10 == 0
