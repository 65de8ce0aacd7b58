"""Checks the dependencies of the workspace: licences, unused ones, double ones, and fail points in what is shipped.

Reads what `cargo metadata` says and the manifests and sources of the workspace. Prints each fault on a line of its own
and ends with 1 when there is one. Needs nothing but Python 3.11.

    python3 tests/scripts/dependencies.py [--self-test]
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Licences (SPDX) that may be shipped in a binary under Apache-2.0 with no more than a notice.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT",
    "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}
# The Mozilla licence binds the files of the package alone: fine for one that is used unchanged. Each is named here.
ALLOWED_FOR = {"sse-codec": {"MPL-2.0"}, "webdriver": {"MPL-2.0"}, "fernet": {"MPL-2.0"}}
ALLOWED_EXCEPTIONS = {"LLVM-exception"}

# (package, dependency): why it is declared though no source file names it.
NAMED_NOWHERE = {}


def permitted(expression, package=None):
    """Whether an SPDX expression can be met by allowed licences. `/` is the old way to write OR."""
    tokens = re.findall(r"[()]|[^\s()/]+|/", expression)
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        token = peek()
        if token is None:
            raise ValueError(f"incomplete licence expression: {expression}")
        position += 1
        return token

    def either():
        value = both()
        while peek() in ("OR", "/"):
            take()
            value = both() or value
        return value

    def both():
        value = single()
        while peek() == "AND":
            take()
            value = single() and value
        return value

    def single():
        token = take()
        if token == "(":
            value = either()
            if take() != ")":
                raise ValueError(f"unbalanced licence expression: {expression}")
            return value
        value = token in ALLOWED or token in ALLOWED_FOR.get(package, ())
        if peek() == "WITH":
            take()
            value = value and take() in ALLOWED_EXCEPTIONS
        return value

    value = either()
    if peek() is not None:
        raise ValueError(f"unreadable licence expression: {expression}")
    return value


def licence_faults(packages):
    for package in packages:
        name = f"{package['name']} {package['version']}"
        licence = package["license"]
        try:
            if not licence:
                yield f"{name} declares no licence"
            elif not permitted(licence, package["name"]):
                yield f"{name} has a licence that is not on the list: {licence}"
        except ValueError as fault:
            yield f"{name}: {fault}"


def code_of(folder):
    """All Rust source below a folder, without its line comments: a name in prose is no use of it."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.rs")))
    return "\n".join(re.sub(r"(?m)^\s*//.*$", "", text) for text in texts)


def unused_faults(package):
    """Dependencies that the code of a package never names. A normal one must be used by `src`, not only by tests."""
    home = pathlib.Path(package["manifest_path"]).parent
    build = home / "build.rs"
    code = {
        None: code_of(home / "src"),
        "dev": "\n".join(code_of(home / folder) for folder in ("src", "tests", "benches", "examples")),
        "build": build.read_text(encoding="utf-8") if build.exists() else "",
    }
    manifest = tomllib.loads(pathlib.Path(package["manifest_path"]).read_text(encoding="utf-8"))
    by_feature = " ".join(item for items in manifest.get("features", {}).values() for item in items)
    for dependency in package["dependencies"]:
        name = dependency["rename"] or dependency["name"]
        path = name.replace("-", "_")
        named = re.search(rf"\b{path}\s*::|\buse\s+{path}\b", code[dependency["kind"]])
        optional = re.search(rf"\b{re.escape(name)}\b", by_feature) and dependency["optional"]
        if not (named or optional or (package["name"], name) in NAMED_NOWHERE):
            section = f"{dependency['kind']}-dependency" if dependency["kind"] else "dependency"
            yield f"{package['name']} never uses its {section} {name}"


def twice_faults(package):
    """Dependencies that a package declares for its code and once more for its tests, which adds nothing, unless the code
    needs them under a feature only."""
    declared = collections.defaultdict(dict)
    for dependency in package["dependencies"]:
        if dependency["optional"]:
            continue
        declared[dependency["rename"] or dependency["name"]][dependency["kind"]] = set(dependency["features"])
    for name, kinds in declared.items():
        if None in kinds and "dev" in kinds and kinds["dev"] <= kinds[None]:
            yield f"{package['name']} declares {name} as a dependency and again, with nothing new, as a dev-dependency"


def version_faults(members, packages):
    """Crates that members of the workspace use directly in more than one version."""
    used = collections.defaultdict(set)
    ids = {package["id"]: package for package in packages}
    for node in members:
        for dependency in node["deps"]:
            package = ids[dependency["pkg"]]
            used[package["name"]].add(package["version"])
    for name, versions in sorted(used.items()):
        if len(versions) > 1:
            yield f"the workspace uses {name} in several versions: {', '.join(sorted(versions))}"


def workspace_table_faults(members):
    """Entries of [workspace.dependencies] that no member takes."""
    table = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"].get("dependencies", {})
    taken = set()
    for package in members:
        manifest = tomllib.loads(pathlib.Path(package["manifest_path"]).read_text(encoding="utf-8"))
        sections = [manifest, *manifest.get("target", {}).values()]
        for section in sections:
            for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
                for name, value in section.get(kind, {}).items():
                    if isinstance(value, dict) and value.get("workspace"):
                        taken.add(name)
                    else:
                        yield f"{package['name']} does not take {name} from [workspace.dependencies]"
    for name in sorted(table.keys() - taken):
        yield f"[workspace.dependencies] has {name}, which no member takes"


def has_fail_points(options=()):
    """Whether the programs, built with these options of cargo, can be stopped at named points."""
    command = ["cargo", "tree", "--workspace", "--locked", "-e", "normal", "--prefix", "none", "-f", "{p} {f}"]
    tree = subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return any(line.startswith("fail v") and "failpoints" in line for line in tree.splitlines())


def fail_point_faults():
    """Only binaries built for tests have fail points; that those have them shows that this looks for the right thing."""
    if has_fail_points():
        yield "the default build has fail points"
    if not has_fail_points(["--features", "fault-points"]):
        yield "the build for tests has no fail points"


def self_test():
    for expression, expected in [
        ("MIT", True), ("MIT/Apache-2.0", True), ("GPL-3.0", False), ("MIT OR GPL-3.0", True),
        ("GPL-3.0 OR MIT", True), ("MIT AND GPL-3.0", False), ("GPL-3.0 AND MIT", False),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", True), ("MIT AND (GPL-3.0 OR AGPL-3.0)", False),
        ("Apache-2.0 WITH LLVM-exception", True), ("Apache-2.0 WITH Classpath-exception-2.0", False),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", True), ("GPL-2.0 OR MIT AND ISC", True),
    ]:
        assert permitted(expression) is expected, expression
    for broken in ["", "MIT OR", "(MIT", "MIT MIT", "MIT)"]:
        try:
            permitted(broken)
        except ValueError:
            continue
        raise AssertionError(f"accepted: {broken!r}")


def main():
    self_test()
    if "--self-test" in sys.argv:
        return 0
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    packages, ids = metadata["packages"], set(metadata["workspace_members"])
    members = [package for package in packages if package["id"] in ids]
    nodes = [node for node in metadata["resolve"]["nodes"] if node["id"] in ids]
    faults = [*licence_faults(packages), *workspace_table_faults(members), *version_faults(nodes, packages),
              *fail_point_faults()]
    for member in members:
        faults += [*unused_faults(member), *twice_faults(member)]
    for fault in faults:
        print(fault)
    print(f"{len(packages)} packages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
