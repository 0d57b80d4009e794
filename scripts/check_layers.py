#!/usr/bin/env python3
"""Checks that includes follow the arrows of docs/ARCHITECTURE.md.

A file may include headers of its own layer and of the layers below it:

    base < text < data < stats < report < llm < pillars < apps

A pillar never includes another pillar: what two of them need moves down a floor. Tests and benchmarks
that lie in a room obey the room's rules; tests/, fuzz/, bench/ and examples/ may include anything but
apps/. Nothing includes a .cpp file, nothing in src/ climbs out with "..", and every include of the
project's own names its file from src/ ("agon/data/vote.h").

    scripts/check_layers.py [ROOT]
"""

import re
import sys
from pathlib import Path

LAYERS = ["base", "text", "data", "stats", "report", "llm"]
PILLARS = ["preference", "ranking", "judging", "auditing", "benchmarking", "arena", "serving"]
SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".inc"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]')


def includes(text):
    """Yields (line number, quote, name) of each include that is not in a block comment."""
    in_comment = False
    for number, line in enumerate(text.splitlines(), 1):
        if in_comment:
            end = line.find("*/")
            if end < 0:
                continue
            line, in_comment = line[end + 2 :], False
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]
        # A comment that opens after the include part of the line and does not close on it.
        rest = re.sub(r"/\*.*?\*/|//.*", "", line)
        if "/*" in rest:
            in_comment = True


def room_of(parts):
    """The room of a path's parts below src/agon, or None for a file outside any known room."""
    room = parts[0] if len(parts) > 1 else None
    return room if room in LAYERS or room in PILLARS else None


def complaint(room, target):
    """Why `room` may not include from `target`, or None when it may."""
    if room == target:
        return None
    if target in PILLARS:
        if room in PILLARS:
            return f"pillar {room} includes pillar {target}; what both need belongs in a layer below"
        return f"layer {room} reaches up to pillar {target}"
    if room in PILLARS or LAYERS.index(target) < LAYERS.index(room):
        return None
    return f"layer {room} reaches up to layer {target}"


def check_file(path, root):
    """Yields (line, message) for each include of one file that breaks a rule."""
    relative = path.relative_to(root)
    in_source = relative.parts[:2] == ("src", "agon")
    room = room_of(relative.parts[2:]) if in_source else None
    if in_source and room is None:
        known = ", ".join(LAYERS + PILLARS)
        yield 1, f"lies in no known room (known: {known}); add a new room to scripts/check_layers.py"
        return
    in_apps = relative.parts[0] == "apps"
    for number, quote, name in includes(path.read_text(encoding="utf-8", errors="replace")):
        if name.endswith((".cpp", ".cc")):
            yield number, f'includes the source file "{name}"'
        elif name.startswith("agon/"):
            target = room_of(name.split("/")[1:])
            if quote == "<":
                yield number, f"<{name}> is the project's own: include it with quotes"
            elif target is None:
                yield number, f'"{name}" is in no known room'
            elif not (root / "src" / name).is_file():
                yield number, f'"{name}" does not exist'
            elif room is not None and (why := complaint(room, target)):
                yield number, f'"{name}": {why}'
        elif quote == '"' and in_source:
            yield number, f'"{name}": name the file from src/, as in "agon/data/vote.h"'
        elif not in_apps and name.startswith(("apps/", "../apps/")):
            yield number, f'"{name}": nothing includes from apps/'


def check_tree(root):
    """All complaints about a source tree, as "path:line: message", in order."""
    found, seen = [], 0
    for folder in ("src", "apps", "tests", "fuzz", "bench", "examples"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                seen += 1
                found += [f"{path.relative_to(root)}:{line}: {message}" for line, message in check_file(path, root)]
    return found, seen


def main(arguments):
    root = Path(arguments[1] if len(arguments) > 1 else Path(__file__).resolve().parent.parent).resolve()
    found, seen = check_tree(root)
    if not seen:
        print(f"check_layers.py: no sources below {root}", file=sys.stderr)
        return 2
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print(f"{len(found)} includes go against the arrows of docs/ARCHITECTURE.md", file=sys.stderr)
        return 1
    print(f"The includes of {seen} files follow the arrows")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
