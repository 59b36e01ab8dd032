"""The ``leman udf`` commands: looking at functions before a job runs them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from . import cli_output
from .cli_function import load_named_function
from .connection import connect


@click.group("udf")
def udf_commands() -> None:
    """Look at functions before a job runs them."""


@udf_commands.command("check")
@click.argument("function", metavar="MODULE:FUNCTION|FILE.py:FUNCTION|LIB.so:FUNCTION")
@click.argument("uri", required=False)
@click.argument("table", required=False)
@click.option("-n", "rows", type=click.IntRange(1), default=10, show_default=True, help="Rows to try it on.")
@click.option("--where", metavar="SQL", help="Try it on rows that this condition selects.")
@click.option("--input-columns", metavar="a,b,…", help="Columns for the function's arguments in order.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(
    context: click.Context,
    function: str,
    uri: str | None,
    table: str | None,
    rows: int,
    where: str | None,
    input_columns: str | None,
    as_json: bool,
) -> None:
    """Show what Leman understands of a function, and with URI TABLE try it on the first rows.

    Nothing is written. The exit code is 1 where the function failed on a row.
    """
    if (uri is None) != (table is None):
        raise click.UsageError("give both URI and TABLE, or neither")
    loaded = load_named_function(function)
    described: dict[str, Any] = {
        "name": loaded.name,
        "kind": loaded.kind,
        "arguments": list(loaded.arguments),
        "data_type": str(loaded.data_type),
        "version": loaded.version,
    }
    if not as_json:
        print(f"{loaded.name}({', '.join(loaded.arguments)}) -> {loaded.data_type}, {loaded.kind}, "
              f"version {loaded.version}")  # fmt: skip
    if uri is None or table is None:
        if as_json:
            cli_output.print_json(described)
        return
    connection = connect(uri)
    connection.prewarms = False
    columns = None if input_columns is None else [entry.strip() for entry in input_columns.split(",")]
    found = loaded.preview(connection.open_table(table), rows, where=where, input_columns=columns)
    if as_json:
        cli_output.print_json({**described, "preview": found.as_dict()})
    else:
        print(found)
    if found.errors:
        context.exit(cli_output.FAILED)


@udf_commands.command("inspect")
@click.argument("library", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(library: Path, as_json: bool) -> None:
    """List the functions of a native library. Its code is loaded, in a process of its own."""
    from .native_function import describe_library

    described = describe_library(library.resolve())
    if as_json:
        cli_output.print_json([_as_json(entry) for entry in described])
        return
    if not described:
        print(f"{library} offers no function.")
    for entry in described:
        if "refusal" in entry:
            reason = entry["refusal"].removeprefix(f"function {entry['name']}: ")
            print(f"{entry['name']}(…)  needs parameters: {reason}")
            continue
        arguments = ", ".join(f"{f.name}: {f.type}{'?' if f.nullable else ''}" for f in entry["inputs"].type)
        print(f"{entry['name']}({arguments}) -> {entry['output'].type}  {entry['summary']}".rstrip())


def _as_json(entry: dict[str, Any]) -> dict[str, Any]:
    names = {key: entry[key] for key in ("name", "version", "summary", "shares_state")}
    if "refusal" in entry:
        return {**names, "refusal": entry["refusal"]}
    inputs = [{"name": f.name, "type": str(f.type), "takes_null": f.nullable} for f in entry["inputs"].type]
    return {**names, "inputs": inputs, "output": str(entry["output"].type)}


@udf_commands.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Write a project of native functions to start from: C++ source, CMakeLists.txt, README."""
    from .native_project import new_project

    for path in new_project(folder):
        print(path)
    source, build = shlex.quote(str(folder)), shlex.quote(f"{folder}/build")
    print(f'Build it: cmake -S {source} -B {build} -Dleman_DIR="$(leman --cmake-dir)" && cmake --build {build}')
