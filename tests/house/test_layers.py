"""Imports point down only, and third-party names stay in their rooms: the table is tests/layers.py."""

from pathlib import Path

from layers import ROOMS, violations

PACKAGE = Path(__file__).parents[2] / "src" / "crossent"


def sources() -> dict[str, str]:
    """Every Python file of the package by its path below src/crossent."""
    return {p.relative_to(PACKAGE).as_posix(): p.read_text(encoding="utf-8") for p in PACKAGE.rglob("*.py")}


def test_every_file_keeps_to_the_table() -> None:
    files = sources()
    assert len(files) > 3
    found = violations(files)
    assert not found, "\n".join(found)


def test_the_table_has_no_way_up() -> None:
    def reaches(room: str) -> set[str]:
        seen: set[str] = set()
        todo = [room]
        while todo:
            for below in ROOMS[todo.pop().split(".")[0]] - {room}:
                if below not in seen:
                    seen.add(below)
                    todo.append(below)
        return {name.split(".")[0] for name in seen}

    peers = [{"losses", "family", "shorthands", "targets", "linear", "shards"}]
    for room in ROOMS:
        for below in reaches(room):
            together = any({room, below} <= group for group in peers)
            assert together or room not in reaches(below), f"{room} and {below} can import each other"
    assert "learn" not in reaches("scoring")
    assert "scoring" not in reaches("learn")
    assert not {"learn", "scoring"} & (reaches("stats") | reaches("rows"))
