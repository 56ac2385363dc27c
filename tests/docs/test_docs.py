"""The pages are up to date: code and tables of mistakes are current, examples run, and links work."""

from __future__ import annotations

import doctest
import importlib.util
import io
import json
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from programs import PROGRAMS, ROOT, call

import parity.__main__

_spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
assert _spec is not None
assert _spec.loader is not None
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)

PAGES = {page.relative_to(ROOT).as_posix(): page for page in build.pages(ROOT)}
EXAMPLES = {name: page for name, page in PAGES.items() if ">>>" in page.read_text(encoding="utf-8")}


@pytest.mark.parametrize("name", PAGES)
def test_quoted_code_and_tables_of_mistakes_are_current(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    assert build.built(text, ROOT) == text, f"{name} is stale: run python docs/build.py"


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name: str) -> None:
    # doctest would take a closing fence for output; an empty line ends the output instead.
    text = re.sub(r"^```.*$", "", EXAMPLES[name].read_text(encoding="utf-8"), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, name, str(EXAMPLES[name]), 0)
    failures: list[str] = []
    with np.printoptions():  # restores the options that a page sets
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=failures.append)
    assert result.attempted
    assert not result.failed, "".join(failures)


def prose(path: Path) -> str:
    """The text of a page or a notebook, without its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub generates for the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


TEXTS = PAGES | {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "docs").rglob("*.ipynb"))}


LINKS = {
    name: [t for t in re.findall(r"\]\(([^)\s]+)\)", prose(path)) if not re.match(r"https?:", t)]
    for name, path in TEXTS.items()
}


@pytest.mark.parametrize("name", [name for name, links in LINKS.items() if links])
def test_links_have_targets(name: str) -> None:
    for target in LINKS[name]:
        file, _, anchor = target.partition("#")
        path = TEXTS[name].parent / file if file else TEXTS[name]
        assert path.exists(), f"{name} leads to {target}"
        assert not anchor or anchor in anchors(path), f"{name} leads to {target}, and {path} has {anchors(path)}"


def test_links_are_found() -> None:
    """The index links to every other page. If this fails, the pattern above may miss links."""
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= {target.partition("#")[0] for target in LINKS["docs/README.md"]}
    assert sum(map(len, LINKS.values())) >= 50


COMMANDS = sorted(
    {
        command
        for page in PAGES.values()
        for command in re.findall(
            r"`(python -m (?:parity|numpy_cnn|torch_cnn)[^`]+)`", page.read_text(encoding="utf-8")
        )
    }
)


def help_of(program: str, command: str) -> str:
    """The output of `python -m PROGRAM COMMAND --help`."""
    if program in PROGRAMS:
        result = call(program, command, "--help")
        assert result.code == 0, f"there is no {program} {command}: {result.err}"
        return result.out
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            code = parity.__main__.main([command, "--help"])
        except SystemExit as stop:
            code = stop.code
    assert code == 0, f"there is no parity {command}: {err.getvalue()}"
    return out.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command: str) -> None:
    _, _, program, subcommand, *arguments = shlex.split(command)
    shown = help_of(program, subcommand)
    for path in (argument for argument in arguments if argument.startswith("docs/")):
        assert (ROOT / path.partition(":")[0]).is_file(), f"there is no {path}"  # FILE.py:NAME
    for flag in (argument for argument in arguments if argument.startswith("--")):
        assert re.search(rf"(?<![\w-]){flag}(?![\w-])", shown), f"{program} {subcommand} has no {flag}"


SOURCE = '''
def double(x):
    """Say it."""
    if x is None:
        y = 0
        return y
    # twice
    y = x + x
    z = (
        y
    )

    def pullback(dy):
        dx = None
        if dy is not None:
            dx = 2 * dy
        other = 0
        dx *= 1
        return (dx,)

    return y, pullback
'''


@pytest.mark.parametrize(
    ("name", "parts", "expected"),
    [
        ("double", "y", "# twice\ny = x + x"),
        ("double", "z", "z = (\n    y\n)"),
        (
            "double.pullback",
            "dx",
            "dx = None\nif dy is not None:\n    dx = 2 * dy\n…\ndx *= 1",
        ),
        ("double.pullback", '"other"', "other = 0"),
        ("double.pullback", '"other" … "return"', "other = 0\ndx *= 1\nreturn (dx,)"),
        ("double.pullback", '"dx = None", "return"', "dx = None\n…\nreturn (dx,)"),
    ],
)
def test_excerpt(name: str, parts: str, expected: str) -> None:
    assert build.excerpt(SOURCE, name, parts) == expected


def test_whole_excerpt_leaves_the_docstring_out() -> None:
    whole = build.excerpt(SOURCE, "double")
    assert whole.startswith("if x is None:")
    assert whole.endswith("return y, pullback")
    assert build.excerpt(SOURCE, "double.pullback").startswith("def pullback(dy):")


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        ("triple", None, "has no triple; it has double, double.pullback"),
        ("double", "w", "does not assign w in double; it assigns y, z"),
        ("double", '"cube"', "must contain 'cube' in exactly one line of double; found in none"),
        ("double.pullback", '"dx = "', "found in lines 14, 16"),
        ("double.pullback", '"return" … "other"', "has 'other' above 'return' in double.pullback"),
    ],
)
def test_missing_code_is_reported(name: str, parts: str | None, message: str) -> None:
    with pytest.raises(build.Missing, match=re.escape(message)):
        build.excerpt(SOURCE, name, parts)


def test_a_misspelt_marker_is_reported() -> None:
    with pytest.raises(
        build.Missing, match=re.escape("line 3: expected <!-- code FILE OBJECT[: PARTS] -->, got <!-- code ops.py")
    ):
        build.built("# Page\n\n<!-- code ops.py relu y -->\n", ROOT)


@pytest.mark.parametrize("name", [name for name in PAGES if "/derivations/" in name])
def test_a_derivation_ends_with_six_to_ten_mistakes(name: str) -> None:
    (place,) = build.TABLE.finditer(PAGES[name].read_text(encoding="utf-8"))
    names = place["names"].split()
    assert 6 <= len(names) <= 10
    assert len({*names}) == len(names)


def test_a_table_has_mistake_lane_explanation_and_source() -> None:
    _, _, dense, flatten = build.table(["linear-dw-doubled", "flatten-order-f"]).splitlines()
    assert [cell.strip() for cell in dense.split("|")[1:-1]] == [
        "linear: dw has an extra factor 2.",
        "grad_weight in the exact lane",
        "it is twice too large",
        "[bighuang624/Andrew-Ng-Deep-Learning-notes#10]"
        "(https://github.com/bighuang624/Andrew-Ng-Deep-Learning-notes/issues/10)",
    ]
    assert flatten.startswith("| flatten: The pixels are flattened column by column. | output, grad_input in the")


def test_a_table_is_rebuilt() -> None:
    marker = "# Page\n\n<!-- mistakes relu-slope-at-zero\n  relu-in-place\n-->\n"
    fresh = build.built(f"{marker}\nand on\n", ROOT)
    assert fresh.startswith(f"{marker}\n| Mistake |")
    assert "| the forward wrote to the input |\n\nand on\n" in fresh
    assert build.built(fresh, ROOT) == fresh
    assert build.built(fresh.replace("torch gives 0", "torch gives 1"), ROOT) == fresh


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("<!-- mistakes relu-slope-at-zero relu-quite-right -->", "there is no planted bug relu-quite-right"),
        ("<!-- mistakes: relu-slope-at-zero -->", "expected <!-- mistakes NAME NAME … -->"),
    ],
)
def test_an_unknown_mistake_is_reported(marker: str, message: str) -> None:
    with pytest.raises(build.Missing, match=re.escape(f"line 3: {message}")):
        build.built(f"# Page\n\n{marker}\n", ROOT)


def test_command_checks_then_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "double.py").write_text(SOURCE)
    page = tmp_path / "docs" / "page.md"
    page.write_text("# Page\n\n<!-- code double.py double: y -->\n\nand on\n")
    check = ["--root", str(tmp_path), "--check"]
    assert build.main(check) == 1
    assert capsys.readouterr().err == "docs/page.md is stale: run python docs/build.py\n"
    assert build.main(check[:2]) == 0
    assert (
        "```python\n# double.py: double\n# twice\ny = x + x\n```\n<!-- fmt: on -->\n\nand on\n" in page.read_text()
    )
    assert build.main(check) == 0
    (tmp_path / "double.py").write_text(SOURCE.replace("x + x", "2 * x"))
    assert build.main(check) == 1
    (tmp_path / "double.py").write_text("")
    assert build.main(check) == 2
    assert "docs/page.md, line 3: double.py has no double" in capsys.readouterr().err
