"""The ``leman`` command."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import __version__, cli_output
from .cli_cluster import cluster
from .cli_function import add_several, load_named_function
from .cli_udf import udf_commands
from .connection import connect, prewarm_workers
from .errors import TableNotFoundError
from .table_files import local_path

if TYPE_CHECKING:
    from .connection import Connection

_F = TypeVar("_F", bound=Callable[..., Any])
_ENDING = """

\b
Exit codes: 0 done, 1 job failed, 2 wrong usage, 3 no such table, column, job or cluster,
4 function not trusted, 130 cancelled or interrupted.
"""


class _Amount(click.ParamType):
    """A number with a unit, e.g. ``4GiB`` or ``90s``."""

    def __init__(self, name: str, units: dict[str, float], example: str) -> None:
        self.name = name
        self._units = units
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"([0-9]*\.?[0-9]+) *([A-Za-z]*)", str(value))
        if match is None or match.group(2).lower() not in self._units:
            self.fail(f"{value!r}: expected {self._example}", param, ctx)
        return float(match.group(1)) * self._units[match.group(2).lower()]


_BYTES = _Amount(
    "size",
    {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 1e3, "mb": 1e6, "gb": 1e9},
    "bytes, or a size such as 4GiB",
)
_SECONDS = _Amount(
    "duration", {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}, "seconds, or a duration such as 90s or 2h"
)


class _Names(click.ParamType):
    """Column names separated by commas."""

    name = "a,b,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        return [entry.strip() for entry in str(value).split(",")]


class _CountOrNone(click.ParamType):
    """A whole number, or the word ``none``."""

    name = "n|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if str(value).lower() == "none":
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r}: expected a whole number or none", param, ctx)


class _Pair(click.ParamType):
    """A name and a value."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not equals or not key or not text:
            self.fail(f"{value!r}: expected NAME=VALUE", param, ctx)
        return key, text


def _complete_table(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    try:
        return [name for name in connect(ctx.params["uri"]).table_names() if name.startswith(incomplete)]
    except Exception:  # A traceback in the middle of somebody's prompt helps nobody.
        return []


def _complete_column(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    try:
        names = connect(ctx.params["uri"]).open_table(ctx.params["table"]).schema.names
    except Exception:
        return []
    return [name for name in names if name.startswith(incomplete)]


def _set_flag(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        ctx.find_root().meta[f"leman.{param.name}"] = value


def _set_storage_options(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> None:
    options = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals:
            raise click.BadParameter("expected KEY=VALUE", ctx, param)
        options[key] = text
    ctx.find_root().meta["leman.storage_options"] = options


def _common(function: _F) -> _F:
    options = (
        click.option("--json", is_flag=True, expose_value=False, callback=_set_flag, help="Print JSON."),
        click.option(
            "--traceback", is_flag=True, expose_value=False, callback=_set_flag, help="Show where an error came from."
        ),
        click.option(
            "--storage-option",
            "storage_options",
            multiple=True,
            metavar="KEY=VALUE",
            expose_value=False,
            callback=_set_storage_options,
            help="Setting of the object store; can be repeated.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return click.argument("uri")(function)


_TABLE = click.argument("table", shell_complete=_complete_table)
_COLUMN = click.argument("column", shell_complete=_complete_column)
_UDF = click.option("--udf", metavar="MODULE:FUNCTION|FILE.py:FUNCTION|LIB.so:FUNCTION", help="The function.")
_INPUTS = click.option(
    "--input-columns",
    type=_Names(),
    help="Columns for the function's arguments in order; by default the arguments' names.",
)


def _backfill_options(function: _F) -> _F:
    options = (
        _UDF,
        _INPUTS,
        click.option("--where", metavar="SQL", help="Compute only the rows that this condition selects."),
        click.option("--concurrency", type=int, default=8, show_default=True, help="Worker processes."),
        click.option("--intra-applier-concurrency", type=int, default=1, show_default=True, help="Threads in each."),
        click.option(
            "--batch-size", type=int, help="Rows read at once, and rows of a checkpoint.  [default: 10240, adaptive]"
        ),
        click.option(
            "--commit-granularity",
            type=_CountOrNone(),
            default="64",
            show_default=True,
            help="Fragments per commit that readers see; none: one commit at the end.",
        ),
        click.option("--checkpoint-size", type=int, help="Rows of a checkpoint."),
        click.option("--min-checkpoint-size", type=int, help="Least rows of an adaptive checkpoint."),
        click.option("--max-checkpoint-size", type=int, help="Most rows of an adaptive checkpoint."),
        click.option("--task-size", type=int, help="Rows of a task."),
        click.option("--task-shuffle-diversity", type=int, default=8, show_default=True, help="Fragments interleaved."),
        click.option("--num-frags", type=int, help="Compute at most this many fragments."),
        click.option(
            "--skip-frags", type=int, default=0, show_default=True, help="Leave out this many fragments first."
        ),
        click.option("--read-version", type=int, help="Table version to read.  [default: the latest]"),
        click.option("--num-cpus", type=float, help="CPUs of a worker thread."),
        click.option("--num-gpus", type=float, help="GPUs of a worker thread."),
        click.option("--memory", type=_BYTES, help="Memory of a worker, e.g. 4GiB."),
        click.option(
            "--resource", "resources", type=_Pair(), multiple=True, help="Custom resource of a worker; can be repeated."
        ),
        click.option(
            "--label-selector",
            type=_Pair(),
            multiple=True,
            help="Label of the nodes that may be used; can be repeated.",
        ),
        click.option(
            "--executor",
            type=click.Choice(["local", "ray"]),
            help="Where workers run; ray: on the cluster of RAY_ADDRESS or of this machine.  [default: local]",
        ),
        click.option("--timeout", type=_SECONDS, help="Stop the job after this time, e.g. 2h."),
        click.option(
            "--stall-timeout", type=_SECONDS, help="Replace a worker that makes no progress for this time, e.g. 10m."
        ),
        click.option("--retry-failed", is_flag=True, help="Compute only the rows that earlier jobs skipped."),
        click.option(
            "--refresh-status-secs", type=float, default=2.0, show_default=True, help="Seconds between status updates."
        ),
        click.option("--job-id", help="A name for the job."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _is_json() -> bool:
    return bool(click.get_current_context().find_root().meta.get("leman.json"))


def _connect(uri: str, *, trust: bool = False) -> Connection:
    options = click.get_current_context().find_root().meta.get("leman.storage_options")
    connection = connect(uri, options or None, trust_stored_udfs=trust)
    connection.prewarms = False  # Most commands only look; `backfill` prewarms itself.
    return connection


def _backfill_arguments(options: dict[str, Any]) -> dict[str, Any]:
    if options["batch_size"] is None:
        del options["batch_size"]
    if options["memory"] is not None:
        options["memory"] = int(options["memory"])
    try:
        options["resources"] = {name: float(amount) for name, amount in options["resources"]}
    except ValueError as error:
        raise click.BadParameter(f"--resource: expected NAME=NUMBER ({error})") from None
    options["label_selector"] = dict(options["label_selector"])
    if options["udf"] is not None:
        options["udf"] = load_named_function(options["udf"])
    return options


def _print_cmake_folder(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from .native_project import cmake_folder

        click.echo(str(cmake_folder()))
        ctx.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_ENDING.strip())
@click.version_option(__version__, prog_name="leman")
@click.option(
    "--cmake-dir",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_cmake_folder,
    help="Print the folder of the CMake package for native functions, and exit.",
)
def cli() -> None:
    """Fill columns of Lance tables with your own functions.

    \b
    With a function in features.py:
        import leman
        @leman.udf
        def n_words(text: str) -> int:
            return len(text.split())
    \b
    register it on a table of the database ./db, and fill the column:
        leman add-column ./db texts n_words --udf features.py:n_words
        leman backfill ./db texts n_words

    A job that was interrupted resumes when the same command runs again. URI is a folder of .lance tables (the one
    lancedb opens) or an object store prefix.
    """


@cli.command()
@_common
def tables(uri: str) -> None:
    """List the tables of a database."""
    connection = _connect(uri)
    folder = local_path(connection.uri)
    if folder is not None and not folder.is_dir():
        raise TableNotFoundError(f"there is no folder {connection.uri}")
    described: list[dict[str, Any]] = []
    for name in connection.table_names():
        try:
            dataset = connection.open_table(name).to_lance()
        except (ValueError, OSError) as error:
            described.append({"name": name, "error": str(error)})
            continue
        rows, columns = dataset.count_rows(), len(dataset.schema)
        described.append({"name": name, "rows": rows, "columns": columns, "version": dataset.version})
    if _is_json():
        cli_output.print_json(described)
    elif not described:
        print(f"{connection.uri} has no tables.")
    else:
        keys = ("name", "rows", "columns", "version")
        cli_output.print_rows(("table", *keys[1:]), [[entry.get(key) for key in keys] for entry in described])


@cli.command()
@_common
@_TABLE
@click.option("--version", type=int, help="Table version to show.  [default: the latest]")
def show(uri: str, table: str, version: int | None) -> None:
    """Show a table's columns and the functions that fill them. Runs nothing that is stored in the table."""
    described = cli_output.table_as_dict(_connect(uri).open_table(table, version))
    if _is_json():
        cli_output.print_json(described)
    else:
        cli_output.print_table(described)


@cli.command("add-column")
@_common
@_TABLE
@click.argument("column", required=False)
@_UDF
@_INPUTS
@click.option("--prefix", help="For a function of several columns: put before the names of its fields.")
@click.option("--sql", metavar="EXPRESSION", help="An SQL expression instead of a function; it is computed at once.")
@click.option(
    "--replace", is_flag=True, help="Give an existing column this function; the next backfill computes it anew."
)
def add_column(
    uri: str,
    table: str,
    column: str | None,
    udf: str | None,
    input_columns: list[str] | None,
    prefix: str | None,
    sql: str | None,
    replace: bool,
) -> None:
    """Add a column that a function fills, or with --replace give a column another function.

    A function annotated `-> leman.Columns[...]`, or one that returns a struct where --prefix is given, makes a column
    of each field: leave COLUMN out.

    The column is null until `leman backfill` fills it. The function's code is stored beside the table, signed
    with your key.
    """
    if (udf is None) == (sql is None):
        raise click.UsageError("give either --udf or --sql")
    if column is None and (sql is not None or replace):
        raise click.UsageError("--sql and --replace need the name of a COLUMN")
    if column is not None and prefix is not None:
        raise click.UsageError(f"--prefix makes the names of several columns; leave out COLUMN {column!r}")
    # Opened first: a process that has made a function starts workers when it opens a table, and none are needed here.
    opened = _connect(uri).open_table(table)
    names = [column] if column is not None else []
    if sql is not None:
        opened.add_columns({column: sql})
    elif udf is not None:
        function = load_named_function(udf)
        if column is not None and function.fills_columns and not replace:
            raise click.UsageError(f"{udf} fills several columns and names them itself; leave out COLUMN {column!r}")
        if column is None:
            names = add_several(opened, function, prefix, input_columns)
        elif replace:
            change: dict[str, Any] = {"path": column, "udf": function}
            opened.alter_columns({**change, "input_columns": input_columns} if input_columns else change)
        else:
            opened.add_columns({column: (function, input_columns) if input_columns else function})
    added = [{"table": table, "column": name, "type": str(opened.schema.field(name).type)} for name in names]
    if _is_json():
        described = [{**entry, "version": opened.version} for entry in added]
        cli_output.print_json(described if column is None else described[0])
        return
    for entry in added:
        print(f"{table}.{entry['column']} ({entry['type']}) is there, at version {opened.version}.")
    if sql is None:
        which = "it" if column is not None else "them, all in one job,"
        print(f"Fill {which} with: leman backfill {uri} {table} {names[0]}")


@cli.command()
@_common
@_TABLE
@_COLUMN
@_backfill_options
def plan(uri: str, table: str, column: str, **options: Any) -> None:
    """Show what a backfill would do, in figures, without running it."""
    opened = _connect(uri).open_table(table)
    made = opened.plan_backfill(column, **_backfill_arguments(options))
    if _is_json():
        cli_output.print_json(cli_output.plan_as_dict(made))
    else:
        print(made)


@cli.command()
@_common
@_TABLE
@_COLUMN
@_backfill_options
@click.option("--trust", is_flag=True, help="Run the stored function whoever signed it.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def backfill(uri: str, table: str, column: str, trust: bool, quiet: bool, **options: Any) -> None:
    """Fill a column with its function, over many processes.

    Rows that hold the function's value are not computed again. After an interruption the same command resumes.
    """
    from .progress import make_sink

    if options["executor"] != "ray":
        prewarm_workers()
    arguments = _backfill_arguments(options)
    opened = _connect(uri, trust=trust).open_table(table)
    sink = make_sink(False if quiet or _is_json() else None, say_result=False)
    result = opened.backfill(column, progress=sink if sink is not None else False, **arguments)
    if _is_json():
        cli_output.print_json(result.as_dict())
    else:
        print(result.summary())


@cli.command()
@_common
@click.option("--table", help="Only jobs of this table.")
@click.option(
    "--status",
    type=click.Choice(["PENDING", "RUNNING", "DONE", "FAILED", "CANCELLED", "LOST"], case_sensitive=False),
    help="Only these.",
)
def jobs(uri: str, table: str | None, status: str | None) -> None:
    """List jobs, newest first."""
    found = _connect(uri).list_jobs(table, status.upper() if status else None)
    if _is_json():
        cli_output.print_json([job.as_dict() for job in found])
    else:
        cli_output.print_jobs(found)


@cli.command()
@_common
@click.argument("job_id")
def job(uri: str, job_id: str) -> None:
    """Show one job: status, error, figures, events."""
    found = _connect(uri).get_job(job_id)
    if _is_json():
        cli_output.print_json(found.as_dict())
    else:
        cli_output.print_job(found)


@cli.command()
@_common
@click.argument("table", shell_complete=_complete_table)
@click.option("--job", "job_id", help="Only rows of this job.")
@click.option("--column", help="Only rows of this column.")
@click.option("--type", "error_type", help="Only this exception type, e.g. ValueError.")
def errors(uri: str, table: str, job_id: str | None, column: str | None, error_type: str | None) -> None:
    """List the rows that jobs skipped because the function failed on them."""
    found = _connect(uri).open_table(table).get_errors(job_id=job_id, column_name=column, error_type=error_type)
    if _is_json():
        cli_output.print_json([error.as_dict() for error in found])
        return
    for error in found:
        where = f"fragment {error.fragment_id} row {error.row}"
        print(f"{error.column_name}  {where}  {error.error_type}: {error.error_message}  (job {error.job_id})")
    if not found:
        print("no skipped rows are recorded")


@cli.command()
@_common
@click.argument("job_id")
def cancel(uri: str, job_id: str) -> None:
    """Ask a running job to stop. What it computed is kept; the same backfill resumes it."""
    from .jobs import request_cancel

    connection = _connect(uri)
    found = connection.get_job(job_id)
    asked = request_cancel(found, connection.storage_options)
    if _is_json():
        cli_output.print_json({"job_id": found.job_id, "asked": asked, "status": found.status})
    else:
        silent = f" But {found.error}." if found.status == "LOST" else ""
        told = "is over already: " + found.status
        print(f"Job {job_id} was asked to stop.{silent}" if asked else f"Job {job_id} {told}.")


@cli.command()
@_common
@click.argument("table", required=False, shell_complete=_complete_table)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--jobs-older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Remove records of jobs that old, too."
)
def clean(uri: str, table: str | None, dry_run: bool, jobs_older_than: float | None) -> None:
    """Remove checkpoints and files that dead jobs left, of one table or of all.

    No file that a version of a table refers to is touched, and none that a running job may need; an interrupted
    job that is cleaned starts again from its last commit.
    """
    from . import job_runner
    from .checkpoint_place import existing_root

    connection = _connect(uri)
    names = [table] if table is not None else connection.table_names()
    arguments: dict[str, Any] = {"storage_options": connection.storage_options, "dry_run": dry_run}
    if jobs_older_than is not None:
        arguments["jobs_older_than_days"] = jobs_older_than
    removed = {}
    for name in names:
        connection.open_table(name)
        root = existing_root(connection, name)
        elsewhere: dict[str, Any] = {} if root is None else {"checkpoint_root": root}
        removed[name] = job_runner.clean(connection.table_uri(name), **elsewhere, **arguments)
    if _is_json():
        cli_output.print_json(removed)
    else:
        cli_output.print_cleaned(removed)


cli.add_command(cluster)
cli.add_command(udf_commands)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the tab completion for a shell, e.g. for ~/.bashrc: eval "$(leman completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    print(found(cli, {}, "leman", "_LEMAN_COMPLETE").source())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; errors are printed, not raised."""
    flags = sys.argv[1:] if arguments is None else list(arguments)
    as_json, with_traceback = "--json" in flags, "--traceback" in flags
    try:
        code = cli.main(args=flags, prog_name="leman", standalone_mode=False)
        return code if isinstance(code, int) else cli_output.DONE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # The reader, `head` for instance, has seen enough; python must not write to the pipe again at exit.
        sys.stdout = None
        return cli_output.DONE
    except (Exception, KeyboardInterrupt) as error:
        cli_output.print_error(error, as_json=as_json, with_traceback=with_traceback)
        return cli_output.exit_code(error)


def main() -> None:
    """Be the ``leman`` command."""
    sys.exit(run())


if __name__ == "__main__":
    main()
