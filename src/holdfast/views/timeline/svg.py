"""A sheet as an SVG file that stands alone: no script, no font and no address in it, on a light ground of its own.

The colours are those of Okabe and Ito, "Color Universal Design", 2002, as in the chart of the lab `approvals`.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from holdfast.views.timeline.shapes import Label, Shape
from holdfast.views.timeline.sheet import Sheet

_STYLE = """
text{font-family:"DejaVu Sans",Verdana,system-ui,sans-serif;fill:#222}
.head{font-weight:600}.soft,.long,.day{fill:#555}.day{fill:#333}.long{font-weight:600}.plan{fill:#333;font-style:italic}
.rough{fill:#a33c00}.is-failed,.is-cancelled{fill:#a33c00;font-weight:600}.is-completed{fill:#00694d;font-weight:600}
.is-blocked,.is-waiting,.is-running{fill:#0a5a94;font-weight:600}.crash-word{fill:#a33c00}.fork-word{fill:#6a3a8c}
.in-bar,.in-wait,.plan{paint-order:stroke;stroke:#fff;stroke-width:2.5px;stroke-linejoin:round;stroke-opacity:.85}
.field{fill:#fff;stroke:#ddd}.grid{stroke:#e4e4e0}.rule{stroke:#bbb}.break{fill:#ecece6}
.zigzag{fill:url(#hf-zigzag)}.end{stroke:#222;stroke-width:1.5}.l-crash{stroke:#d55e00;stroke-width:1.5;stroke-dasharray:5 3}
.l-fork{stroke:#6a3a8c;stroke-width:2.5}
.b-ok{fill:#4dbb96;stroke:#00694d}.b-part{fill:url(#hf-part);stroke:#00694d}.b-deferred{fill:#cfe6f7;stroke:#0072b2;stroke-width:1.5}
.b-failed{fill:url(#hf-failed);stroke:#a33c00}.b-unknown{fill:url(#hf-unknown);stroke:#8a3f6c}
.b-open{fill:#fff;stroke:#222;stroke-dasharray:3 2}
.w-person{fill:#fbf3b0;stroke:#a89a00}.w-owed{fill:url(#hf-owed);stroke:#0072b2;stroke-dasharray:4 2}
.w-paused{fill:#ddd;stroke:#777;stroke-dasharray:1 2}.hit{fill:#fff;fill-opacity:0}
.w-retry{stroke:#777;stroke-width:2;stroke-dasharray:1.5 3}.w-held{stroke:#777;stroke-width:3;stroke-dasharray:8 3}
.cost{fill:none;stroke:#555;stroke-width:1.5}
.s{fill:#fff;stroke-width:1.2}.s-failed,.m-no{stroke:#a33c00}.s-unknown{stroke:#8a3f6c}.s-part{stroke:#00694d}
.s-deferred{stroke:#0072b2}.s-open{stroke:#222}.m-yes{stroke:#00694d}.m-word{stroke:#0a5a94;fill:#0a5a94}
.m-ruling{stroke:#444;fill:#fff}.m-crash{stroke:#a33c00;fill:#fbd9c4}.m-fork{stroke:#6a3a8c;fill:#e6d8f0}
.g{fill:none;stroke:inherit;stroke-width:1.6}
"""
_DEFS = (
    '<pattern id="hf-part" width="4" height="100" patternUnits="userSpaceOnUse"><rect width="4" height="100" fill="#fff"/>'
    '<rect width="2" height="100" fill="#4dbb96"/></pattern>'
    '<pattern id="hf-failed" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#f0a070"/>'
    '<path d="M0 0L6 6M6 0L0 6" stroke="#a33c00" stroke-width="0.9"/></pattern>'
    '<pattern id="hf-unknown" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="5" fill="#f6dcea"/><rect width="2.2" height="5" fill="#cc79a7"/></pattern>'
    '<pattern id="hf-owed" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect width="7" height="7" fill="#eef6fc"/><rect width="1" height="7" fill="#a9cfe8"/></pattern>'
    '<pattern id="hf-zigzag" width="8" height="10" patternUnits="userSpaceOnUse">'
    '<path d="M2 0L6 5L2 10" fill="none" stroke="#fff" stroke-width="4"/>'
    '<path d="M2 0L6 5L2 10" fill="none" stroke="#8a8a80" stroke-width="1.2"/></pattern>'
)
# Signs around 0, 0 in a square of 10: what is around, and what is in it.
_SIGNS = {
    "s-failed": '<circle r="5"/><path class="g" d="M-2.2-2.2L2.2 2.2M2.2-2.2L-2.2 2.2"/>',
    "s-unknown": '<circle r="5"/><path class="g" d="M-1.6-1.4C-1.6-3.6 1.8-3.4 1.6-1.2C1.5-.2 0-.1 0 1.1M0 2.6V3.2"/>',
    "s-part": '<circle r="5"/><path class="g" d="M-3 0H3M-2.6 1.5H2.6M-1.6 3H1.6"/>',
    "s-deferred": '<circle r="5"/><path class="g" d="M-3 0H2.6M.4-2.2L2.6 0L.4 2.2"/>',
    "s-open": '<circle r="5"/><path class="g" d="M-2.8 0H-2M-.4 0H.4M2 0H2.8"/>',
    "m-yes": '<circle r="5"/><path class="g" d="M-2.6 .2L-.7 2.2L2.7-2.2"/>',
    "m-no": '<path d="M-5-5H5V5H-5Z"/><path class="g" d="M-2.4-2.4L2.4 2.4M2.4-2.4L-2.4 2.4"/>',
    "m-word": '<path d="M-4.5-4H4.5L0 4.5Z"/>',
    "m-ruling": '<path d="M0-4.6L4.6 0L0 4.6L-4.6 0Z"/>',
    "m-crash": '<path d="M1-5L-4 1H-.5L-1.5 5L4-1.5H.5L2.5-5Z"/>',
    "m-fork": '<path d="M-1 5V0L-4-4M-1 0L4-4M-4-4V-1.5M-4-4H-1.5"/>',
}


def svg(sheet: Sheet) -> str:
    """The text of the file; the same for the same sheet."""
    wide, high = _number(sheet.width), _number(sheet.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img"'
            ' aria-labelledby="hf-title hf-description">',
            f'<title id="hf-title">{escape(sheet.title)}</title>',
            f'<desc id="hf-description">{escape(sheet.description)}</desc>',
            f"<style>{_STYLE}</style>",
            f"<defs>{_DEFS}{''.join(_signs(sheet))}</defs>",
            '<rect width="100%" height="100%" fill="#fcfcfa"/>',
            *map(_shape, sheet.shapes),
            *map(_label, sheet.labels),
            "</svg>",
            "",
        ]
    )


def _signs(sheet: Sheet) -> Iterator[str]:
    for name in dict.fromkeys(shape.style for shape in sheet.shapes if shape.kind == "sign"):
        yield f'<g id="hf-{name}">{_SIGNS[name]}</g>'


def _shape(shape: Shape) -> str:
    title = f"<title>{escape(shape.words)}</title>" if shape.words else ""
    x, y = _number(shape.x), _number(shape.y)
    if shape.kind == "sign":
        scale = shape.width / 10
        place = f"translate({x} {y})" + (f" scale({_number(scale)})" if abs(scale - 1) > 0.01 else "")
        return _element("g", f'class="s {shape.style}" transform="{place}"', f'{title}<use href="#hf-{shape.style}"/>')
    if shape.kind == "line":
        ends = f'x1="{x}" y1="{y}" x2="{_number(shape.x + shape.width)}" y2="{_number(shape.y + shape.height)}"'
        return _element("line", f'class="{shape.style}" {ends}', title)
    if shape.kind == "path":
        points = " ".join(f"{_number(one)},{_number(other)}" for one, other in shape.points)
        return _element("polyline", f'class="{shape.style}" points="{points}"', title)
    size = f'width="{_number(shape.width)}" height="{_number(shape.height)}"'
    return _element("rect", f'class="{shape.style}" x="{x}" y="{y}" {size}', title)


def _element(name: str, attributes: str, inside: str) -> str:
    return f"<{name} {attributes}>{inside}</{name}>" if inside else f"<{name} {attributes}/>"


def _label(label: Label) -> str:
    style = f' class="{label.style}"' if label.style else ""
    middle = ' text-anchor="middle"' if label.anchor == "middle" else ""
    place = f'x="{_number(label.x)}" y="{_number(label.y)}" font-size="{_number(label.size)}"'
    return f"<text{style} {place}{middle}>{escape(label.words)}</text>"


def _number(value: float) -> str:
    """With a tenth of a point, which is finer than any screen."""
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2f}".rstrip("0").rstrip(".") or "0"
