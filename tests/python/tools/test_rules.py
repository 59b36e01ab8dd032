"""Each rule of tools/check_rooms can fail: a small checkout that breaks it, beside one that does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "tools"))

from rules import check_all  # noqa: E402
from rules.sizes import cpp_functions, python_functions  # noqa: E402

GOOD = {
    "README.md": "See `src/base`, `src/plan/planner.cc`, `plan/planner.cc` and [rooms](src/README.md).\n",
    "CMakeLists.txt": "leman_room(io DEPENDS base)\nleman_room(plan DEPENDS base TESTING_DEPENDS io)\n",
    "src/README.md": "| room | what | may include |\n|---|---|---|\n"
    "| base | a | – |\n| io | b | base |\n| plan | c | base |\n",
    "src/base/result.h": "#pragma once\n",
    "src/io/store.h": '#include "base/result.h"\n',
    "src/plan/planner.h": '#include "base/result.h"\n',
    "src/plan/planner.cc": '#include "plan/planner.h"\n',
    "src/plan/planner_test.cc": '#include "io/store.h"\n#include "plan/planner.h"\n',
    "python/leman/spec.py": "def f():\n    return 1\n",
}


def problems_of(folder: Path, changes: dict[str, str] | None = None) -> list[str]:
    for name, text in {**GOOD, **(changes or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return check_all(folder)


def test_a_good_checkout_has_no_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == []


BROKEN = {
    "an include that the table forbids": (
        {"src/plan/planner.h": '#include "io/store.h"\n'},
        "src/plan/planner.h: plan may not include io",
    ),
    "a test that includes a room below its own": (
        {"src/io/store_test.cc": '#include "plan/planner.h"\n'},
        "src/io/store_test.cc: io may not include plan",
    ),
    "an include that leads nowhere": (
        {"src/plan/planner.h": '#include "base/gone.h"\n'},
        '#include "base/gone.h" is in neither',
    ),
    "a folder that is no room": ({"src/extra/a.h": "\n"}, "src/extra/a.h: extra is not a room"),
    "an include cycle": (
        {"src/base/result.h": '#include "base/a.h"\n', "src/base/a.h": '#include "result.h"\n'},
        "include cycle: src/base/a.h -> src/base/result.h -> src/base/a.h",
    ),
    "a table that allows what is below": (
        {"src/README.md": GOOD["src/README.md"].replace("| a | –", "| a | plan")},
        "base may include plan, which is no room above it",
    ),
    "no table": ({"src/README.md": "Rooms.\n"}, "no table of rooms"),
    "a link that the table forbids": (
        {"CMakeLists.txt": "leman_room(base)\nleman_room(plan DEPENDS base io)\n"},
        "CMakeLists.txt: plan links io",
    ),
    "a test link that the table forbids": (
        {"CMakeLists.txt": "leman_room(io DEPENDS base TESTING_DEPENDS plan)\n"},
        "CMakeLists.txt: io links plan",
    ),
    "a long file": ({"src/base/long.cc": "int a;\n" * 601}, "src/base/long.cc: 601 lines"),
    "a long C++ function": (
        {"src/base/f.cc": "namespace leman {\nint f() {\n" + "  a();\n" * 69 + "}\n}\n"},
        "src/base/f.cc:2: a function of 71 lines",
    ),
    "a long Python function": (
        {"python/leman/f.py": "def f():\n" + "    a()\n" * 70},
        "python/leman/f.py:1: a function of 71 lines",
    ),
    "a path in backticks that is gone": ({"docs/a.md": "`src/plan/gone.cc`\n"}, "docs/a.md: `src/plan/gone.cc`"),
    "a path in a room that is gone": ({"docs/a.md": "`plan/gone.cc`\n"}, "docs/a.md: `plan/gone.cc`"),
    "a document that is gone": ({"docs/a.md": "`GONE.md`\n"}, "docs/a.md: `GONE.md`"),
    "a link that is gone": ({"docs/a.md": "[a](b.md)\n"}, "docs/a.md: the link to b.md leads nowhere"),
}
BROKEN |= {
    f"a file named {name}": ({f"src/base/{name}.h": "\n"}, f"src/base/{name}.h: ")
    for name in ("util", "path_utils", "test-helper", "TaskManager", "common", "misc_types", "helpers/a")
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_can_fail(case: str, tmp_path: Path) -> None:
    changes, expected = BROKEN[case]
    problems = problems_of(tmp_path, changes)
    assert any(expected in problem for problem in problems), problems


def test_words_in_code_blocks_and_commands_are_no_paths(tmp_path: Path) -> None:
    text = "```\n`src/gone.cc`\n```\n`make test`, `data/file.lance`, `src/<name>.cc`, [site](https://example.org/a)\n"
    assert problems_of(tmp_path, {"docs/a.md": text}) == []


def test_functions_are_found_where_text_looks_like_them() -> None:
    text = """
#define OPEN {
namespace leman {
enum class Kind { kA, kB };
const char* kText = "{(";  // {
const char kRaw[] = R"(()
{)";
class Applier : public Base {
 public:
  Applier(int a) : a_(a) {}
  int rows() const { return 1'000; }
};
template <typename T>
Result<T> Run(const std::function<void(int)>& f) {
  if (f) {
    f(1);
  }
  return {};
}
}  // namespace leman
"""
    assert [length for _, length in cpp_functions(text)] == [1, 1, 7]


def test_a_docstring_is_not_counted() -> None:
    assert python_functions('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n') == [(1, 2)]


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    problems_of(tmp_path, {"src/base/util.h": "\n"})
    command = [sys.executable, str(REPOSITORY / "tools" / "check_rooms"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "src/base/util.h" in result.stdout
    (tmp_path / "src/base/util.h").unlink()
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0
