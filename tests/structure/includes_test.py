"""The folders' order, as the table in docs/architecture.md (section Folders) states it: no include runs upwards or in a circle,
and each folder's CMake library links what its folder may include, no more.

The relation is transitive: a folder may include itself, what its row names, and what these may include."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOPS = ("base", "dist", "data", "models", "jobs", "launcher")
SOURCES = (".hpp", ".cpp", ".cu", ".cpp.in")


def table():
    """{folder: the folders that its row names}."""
    section = (ROOT / "docs/architecture.md").read_text().split("\n## Folders\n")[1].split("\n## ")[0]
    rows = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`([a-z_/]+)`", cells[0])
        if line.startswith("| `") and name:
            assert name[1] not in rows, f"two rows for {name[1]}"
            rows[name[1]] = set(re.findall(r"`([a-z_/]+)`", cells[-1]))
    return rows


def closure(graph, start):
    """Everything that can be reached from `start`, without it unless it lies on a circle."""
    reached, ahead = set(), list(graph.get(start, ()))
    while ahead:
        node = ahead.pop()
        if node not in reached:
            reached.add(node)
            ahead.extend(graph.get(node, ()))
    return reached


def sources():
    """(folder, file) of every source and header."""
    for top in TOPS:
        for file in sorted((ROOT / top).rglob("*")):
            if file.name.endswith(SOURCES):
                yield file.parent.relative_to(ROOT).as_posix(), file


def includes():
    """(folder, included folder, "file:line: include") of every include of our own."""
    for folder, file in sources():
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match:
                yield folder, match[1].rpartition("/")[0], f"{file.relative_to(ROOT)}:{number}: {match[1]}"


def libraries():
    """({library: folder}, {target: targets that it links}) of the folders' CMakeLists.txt."""
    homes, links = {}, {}
    for top in TOPS:
        for file in sorted((ROOT / top).rglob("CMakeLists.txt")):
            text = re.sub(r"#.*", "", file.read_text())
            for name, body in re.findall(r"meshfold_library\((\w+)([^)]*)\)", text):
                homes[name] = file.parent.relative_to(ROOT).as_posix()
                links[name] = set(re.findall(r"\bmeshfold_\w+", body))
            for name, body in re.findall(r"target_link_libraries\((\w+)([^)]*)\)", text):
                links.setdefault(name, set()).update(re.findall(r"\bmeshfold_\w+", body))
    return homes, links


class Folders(unittest.TestCase):
    def setUp(self):
        self.table = table()
        self.allowed = {folder: closure(self.table, folder) for folder in self.table}

    def test_each_folder_with_sources_has_a_row_and_each_row_a_folder(self):
        self.assertEqual(sorted({folder for folder, _ in sources()}), sorted(self.table))
        self.assertLessEqual(set().union(*self.table.values()), set(self.table))

    def test_the_table_has_no_circle(self):
        for folder, reached in self.allowed.items():
            self.assertNotIn(folder, reached, f"{folder} may include what may include it")

    def test_no_include_runs_upwards(self):
        faults = [
            f"{place}: {folder} may not include {included}"
            for folder, included, place in includes()
            if included != folder and included not in self.allowed.get(folder, ())
        ]
        self.assertFalse(faults, "\n" + "\n".join(faults))

    def test_each_library_links_what_its_folder_includes_and_no_more_than_it_may(self):
        homes, links = libraries()
        library_at = {folder: name for name, folder in homes.items()}

        def library_of(folder):  # its own, or that of the folder that it lies in
            while folder and folder not in library_at:
                folder = folder.rpartition("/")[0]
            return library_at.get(folder)

        linked = {name: closure(links, name) & set(homes) for name in homes}
        for folder in self.table:
            has_sources = any(file.suffix != ".hpp" for at, file in sources() if at == folder)
            self.assertFalse(has_sources and library_of(folder) is None, f"{folder} has sources and no library")
        for name, folder in homes.items():
            may = set().union(*(self.allowed[other] for other in self.table if library_of(other) == name))
            for other in linked[name]:
                self.assertIn(homes[other], may | {folder}, f"{name} ({folder}) links {other}")
        for folder, included, place in includes():
            own, other = library_of(folder), library_of(included)
            if other not in (None, own):
                self.assertIn(other, linked[own], f"{place}: {own} does not link {other}")


if __name__ == "__main__":
    unittest.main()
