"""Colours of classes: Okabe and Ito's palette, which people with colour vision deficiencies can tell apart."""

from __future__ import annotations

from collections.abc import Mapping

Colour = tuple[int, int, int]

# Of label values 1, 2, ...
COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (213, 94, 0),
)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SHADES = ((WHITE, 0.0), (WHITE, 0.5), (BLACK, 0.4))
"""Where the palette is used up, it begins again: lighter, then darker. What is mixed in, and its share."""


def complete_colours(classes: Mapping[str, int], given: Mapping[str, str]) -> dict[str, str]:
    """A colour for every class: the given ones, and for the others that of their label value in `review` and `inspect`.

    Where another class has that colour, the next free one is taken, so that the result depends on nothing but the
    arguments. Beyond 21 classes colours repeat.

    Args:
        classes: name -> label value. given: class -> colour, as matplotlib writes it; of other classes too, which stay.

    Returns:
        class -> colour: those given, then the others in the order of `classes`, as `#RRGGBB`.
    """
    colours = dict(given)
    free = [as_hex(_mix(colour, *shade)) for shade in SHADES for colour in COLOURS]
    taken = {colours[name].upper() for name in classes if name in colours}
    for name, value in classes.items():
        if name in colours:
            continue
        start = (value - 1) % len(COLOURS)
        order = [*free[start : len(COLOURS)], *free[:start], *free[len(COLOURS) :]]
        colours[name] = next((colour for colour in order if colour not in taken), free[start])
        taken.add(colours[name])
    return colours


def as_hex(colour: Colour) -> str:
    """`#RRGGBB`."""
    return "#{:02X}{:02X}{:02X}".format(*colour)


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round((1 - share) * a + share * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue
