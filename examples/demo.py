"""`make demo`: fills columns of two Lance tables with functions of several kinds, survives a crash, answers questions.

The input is real and on every machine: the source files of Python's own standard library, and the pictures that
scikit-image and scikit-learn carry.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import demo_functions
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table as TextTable

import leman

CONCURRENCY = os.cpu_count() or 2
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "config"}
say = Console(highlight=False, soft_wrap=True).print


def source_files() -> pa.Table:
    """One row a file of the standard library: its path and its text."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in root.rglob("*.py") if not LEFT_OUT.intersection(path.relative_to(root).parts))
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    return pa.table({"path": [str(path.relative_to(root)) for path in paths], "text": texts})


def pictures() -> pa.Table:
    """One row a picture that scikit-image or scikit-learn carries: its name and its file's bytes."""
    names, images = [], []
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        for path in sorted((Path(spec.origin).parent / folder).iterdir()):
            if path.suffix in (".png", ".jpg", ".tif", ".gif"):
                names.append(path.name)
                images.append(path.read_bytes())
    return pa.table({"name": names, "image": pa.array(images, pa.binary())})


def make_tables(db: leman.Connection) -> None:
    for name, data, fragments in (("sources", source_files(), 8), ("pictures", pictures(), 4)):
        rows_per_file = -(-data.num_rows // fragments)
        table = db.create_table(name, data, mode="overwrite", max_rows_per_file=rows_per_file)
        count = len(table.to_lance().get_fragments())
        say(f"  {name}: {data.num_rows} rows, {data.nbytes / 2**20:.1f} MB, {count} fragments")


def fill(table: leman.Table, columns: dict[str, object]) -> None:
    """Registers functions and fills their columns, one after the other, with bars on a terminal."""
    table.add_columns(columns)
    for column in columns:
        result = table.backfill(column, concurrency=CONCURRENCY, progress=True)
        assert result.status == "DONE"


def fill_embedding(table: leman.Table, progress: bool) -> leman.BackfillResult:
    return table.backfill("embedding", concurrency=CONCURRENCY, batch_size=8, progress=progress)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def crash_and_resume(table: leman.Table, folder: Path) -> None:
    """Kills the process that fills `embedding` with -9 at half of the rows; then fills the rest here."""
    calls = folder / "calls.txt"
    calls.unlink(missing_ok=True)
    os.environ["LEMAN_DEMO_CALLS"] = str(calls)
    table.add_columns({"embedding": demo_functions.embedding})
    rows = table.count_rows()
    driver = subprocess.Popen([sys.executable, __file__, "--folder", str(folder), "--only-embedding"])
    while driver.poll() is None and len(lines_of(calls)) < rows // 2:
        time.sleep(0.005)
    if driver.poll() is not None:
        raise SystemExit("the process that was to be killed ended by itself")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    time.sleep(1.0)  # Its workers end by themselves; whatever they still call is counted.
    before = lines_of(calls)
    say(f"  [bold]kill -9[/] after {len(before)} of {rows} files; the same call again:")

    result = fill_embedding(table, progress=True)
    del os.environ["LEMAN_DEMO_CALLS"]
    after = lines_of(calls)[len(before) :]
    kept = rows - len(after)
    twice = len(set(before) & set(after))
    say(f"  kept from before the crash: {kept} files; computed now: {len(after)}; computed twice: {twice}")
    say(f"  (those {twice} were in work when the process died; none that a checkpoint held was computed again)")
    assert result.status == "DONE"
    assert kept + twice == len(set(before)), "a value that was acknowledged has been computed again"
    assert table.count_rows("embedding IS NULL") == 0


def print_table(title: str, columns: list[str], rows: list[tuple[object, ...]]) -> None:
    text = TextTable(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        text.add_column(column)
    for row in rows:
        text.add_row(*(str(value) for value in row))
    say(text)
    say("")


def answer_about_sources(db: leman.Connection) -> None:
    data = db.open_table("sources").to_lance().to_table(["path", "n_words", "comment_share", "imports", "embedding"])
    paths = data["path"].to_pylist()
    vectors = data["embedding"].combine_chunks().flatten().to_numpy().reshape(len(paths), -1)
    centred = vectors - vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    asked = paths.index("json/decoder.py")
    nearness = centred @ centred[asked]
    nearest = [(paths[i], f"{nearness[i]:.2f}") for i in np.argsort(-nearness) if i != asked][:5]
    print_table("Which modules are written most like json/decoder.py?", ["module", "likeness"], nearest)

    imported: dict[str, int] = {}
    for names in data["imports"].to_pylist():
        for name in names or []:
            imported[name] = imported.get(name, 0) + 1
    favourites = sorted(imported.items(), key=lambda item: -item[1])[:5]
    print_table("What does the standard library import most?", ["module", "files"], favourites)

    long_enough = [row for row in data.drop_columns(["embedding", "imports"]).to_pylist() if row["n_words"] > 500]
    talkative = sorted(long_enough, key=lambda row: -row["comment_share"])[:5]
    rows = [(row["path"], f"{row['comment_share']:.0%}", row["n_words"]) for row in talkative]
    print_table("Which files of over 500 words have the most comment lines?", ["file", "comments", "words"], rows)


def answer_about_pictures(db: leman.Connection) -> None:
    seen = db.open_table("pictures").to_lance().to_table(["name", "look"]).to_pylist()
    seen = [{"name": row["name"], **row["look"]} for row in seen if row["look"]]
    for title, key, sign in (("darkest", "brightness", 1), ("most colourful", "colourfulness", -1)):
        chosen = sorted(seen, key=lambda row, key=key, sign=sign: sign * row[key])[:4]
        rows = [(row["name"], f"{row['width']} x {row['height']}", f"{row[key]:.2f}") for row in chosen]
        print_table(f"Which pictures are {title}?", ["picture", "size", key], rows)
    pairs = [
        (bin(int(one["hash"], 16) ^ int(other["hash"], 16)).count("1"), one["name"], other["name"])
        for i, one in enumerate(seen)
        for other in seen[:i]
    ]
    distance, one, other = min(pairs)
    say(f"The two pictures that look most alike: [bold]{other}[/] and [bold]{one}[/] ({distance} of 64 bits differ)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("demo-data"), help="where the tables are made")
    parser.add_argument("--only-embedding", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    db = leman.connect(arguments.folder / "db")
    if arguments.only_embedding:
        fill_embedding(db.open_table("sources"), progress=False)
        return

    start = time.monotonic()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    say(f"\n[bold]1. Two tables in {arguments.folder / 'db'}[/]")
    make_tables(db)
    sources = db.open_table("sources")
    say(f"\n[bold]2. Three columns of the source files, {CONCURRENCY} worker processes[/]")
    functions = demo_functions
    fill(sources, {"n_words": functions.n_words, "comment_share": functions.comment_share})
    fill(sources, {"imports": functions.ImportFinder()})
    say("\n[bold]3. An embedding of each file, and a crash in the middle[/]")
    crash_and_resume(sources, arguments.folder.resolve())
    say("\n[bold]4. The pictures[/]")
    fill(db.open_table("pictures"), {"look": functions.look})
    say("\n[bold]5. Questions to the new columns[/]\n")
    answer_about_sources(db)
    answer_about_pictures(db)
    say(f"\nDone in {time.monotonic() - start:.0f} s. Every column is plain Lance data: open {arguments.folder / 'db'}")
    say("with lancedb or pylance, or look around with: [bold].venv/bin/leman show demo-data/db sources[/]\n")


if __name__ == "__main__":
    main()
