"""Imports point one way: what the map in docs/layout.md promises."""

import ast
from pathlib import Path

import pams_tf

ORDER = [
    ("errors", "grid", "streams"),
    ("files", "reading"),
    ("recipe",),
    ("runs", "zoo", "backend"),
    ("locate",),
    ("reporting",),
    ("litert",),
    ("data",),
    ("quantization",),
    ("models",),
    ("evaluation",),
    ("training", "export"),
    ("verification",),
    ("presets", "demo"),
    ("commands",),
    ("reproduce",),
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
ROOT = Path(pams_tf.__file__).parent


WITHOUT_TENSORFLOW = (
    "errors", "grid", "streams", "files", "reading", "recipe", "runs", "zoo", "locate", "backend",
    "reporting", "litert", "commands",
)  # fmt: skip


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "pams_tf":
                yield from (f"pams_tf.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_imports_point_left():
    wrong, checked = [], 0
    for path in ROOT.rglob("*.py"):
        part = path.relative_to(ROOT).with_suffix("").parts[0]
        if part == "__init__":
            continue
        for name in imports(path):
            target = [*name.split("."), ""][1]
            if name.startswith("pams_tf.") and target in RANK:
                checked += 1
                # What shares a rank does not import each other: export never needs training.
                if RANK[target] > RANK[part] or (RANK[target] == RANK[part] and target != part):
                    wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []
    assert checked > 50


def test_every_module_has_a_place():
    parts = {path.relative_to(ROOT).with_suffix("").parts[0] for path in ROOT.rglob("*.py")}
    assert parts - {"__init__"} == set(RANK)


def test_packages_import_nothing_of_themselves_but_for_three():
    """So that importing one module of a package does not load the others."""
    allowed = {"quantization", "quantization/functional", "models"}
    for path in ROOT.rglob("*/__init__.py"):
        if str(path.parent.relative_to(ROOT)) not in allowed:
            assert list(imports(path)) == [], path


def test_what_needs_no_tensorflow_imports_none():
    for part in WITHOUT_TENSORFLOW:
        place = ROOT / part
        for path in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
            top = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import)]
            names = {alias.name.split(".")[0] for node in top for alias in node.names}
            assert not names & {"tensorflow", "keras"}, path


def test_help_does_not_load_tensorflow():
    """`--help` answers at once because commands import what is heavy inside their bodies."""
    heavy = {"tensorflow", "keras", "matplotlib", "ai_edge_litert"}
    for path in (ROOT / "commands").glob("*.py"):
        top = [
            node
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        for node in top:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            assert not heavy & {name.split(".")[0] for name in names}, path
