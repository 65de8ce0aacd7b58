"""Reads the output of `cargo test`: shows it without its noise, and counts what it says.

    output.py show LOG        copies standard input to LOG and, less the lines about nothing, to standard output
    output.py counts FOLDER   prints "passed failed" over all logs of the folder
    output.py report FOLDER   names the tests that failed or hung and compares the databases; ends with 1 if counts differ

A test that runs on a database has it in its path: `…::sqlite::…` or `…on_sqlite…`, and the same with `postgres`.
"""

import collections
import pathlib
import re
import signal
import sys

RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.MULTILINE)
TEST = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", re.MULTILINE)
SLOW = re.compile(r"^test (\S+) has been running for over \d+ seconds", re.MULTILINE)
DATABASE = re.compile(r"(?<=::)(sqlite|postgres)(?=::)|(?<=on_)(sqlite|postgres)(?![a-z0-9])")
NOISE = re.compile(
    r"\s*$|running 0 tests|test result: ok\. 0 passed; 0 failed; 0 ignored;|\s+(Running|Doc-tests) |all doctests ran in"
)


def show(log):
    # Ctrl-C reaches this process, too; it ends when the stage that it shows does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(log, "wb") as copy:
        for line in sys.stdin.buffer:
            copy.write(line)
            copy.flush()
            if not NOISE.match(line.decode("utf-8", "replace")):
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()


def read(folder):
    logs = sorted(pathlib.Path(folder).glob("*.log"))
    return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)


def counts(text):
    """Passed, failed and ignored tests, over all `test result:` lines."""
    totals = [0, 0, 0]
    for match in RESULT.finditer(text):
        totals = [total + int(number) for total, number in zip(totals, match.groups())]
    return totals


def by_database(text):
    """How often each test ran on each database, under a name that does not say which."""
    ran = {"sqlite": collections.Counter(), "postgres": collections.Counter()}
    for name, outcome in TEST.findall(text):
        match = DATABASE.search(name)
        if match and outcome != "ignored":
            ran[match[0]][DATABASE.sub("*", name)] += 1
    return ran


def hung(text):
    """The tests that were slow, and are not known to have ended."""
    ended = {name for name, _ in TEST.findall(text)}
    return [name for name in SLOW.findall(text) if name not in ended]


def report(text):
    for name, outcome in TEST.findall(text):
        if outcome == "FAILED":
            print(f"failed: {name}")
    for name in hung(text):
        print(f"did not end: {name}")
    ignored = counts(text)[2]
    if ignored:
        print(f"ignored: {ignored}")
    ran = by_database(text)
    sqlite, postgres = ran["sqlite"], ran["postgres"]
    print(f"on SQLite {sqlite.total()}, on PostgreSQL {postgres.total()}")
    for database, more in (("SQLite", sqlite - postgres), ("PostgreSQL", postgres - sqlite)):
        for name in sorted(more):
            print(f"only on {database}: {name}")
    return 0 if sqlite == postgres and sqlite else 1


def self_test():
    text = "\n".join([
        "test orders::sqlite::a_row ... ok", "test orders::postgres::a_row ... FAILED",
        "test an_order_on_sqlite ... ok", "test an_order_on_postgres - should panic ... ok",
        "test posts::on_sqlite::b ... ignored", "test a_row has been running for over 60 seconds",
        "test a_sqlite_file has been running for over 60 seconds", "test a_sqlite_file ... ok", "test common_sqlites ... ok",
        "test result: FAILED. 4 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
    ])
    assert counts(text) == [7, 1, 1]
    assert hung(text) == ["a_row"]
    ran = by_database(text)
    assert ran["sqlite"] == ran["postgres"] == {"orders::*::a_row": 1, "an_order_on_*": 1}, ran


def main():
    self_test()
    action, path = sys.argv[1:]
    if action == "show":
        show(path)
    elif action == "counts":
        print(*counts(read(path))[:2])
    elif action == "report":
        return report(read(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
