"""Hostile CSV files and what Python's csv module reads from them."""
import csv
import os
import random
import sys

from binary import OracleFile

PIECES = ["", "a", "word", " ", "  lead", "trail ", '"', '""', ",", ",,", "\n", "\r\n", "\r", "\n\n", "é", "漢字", "🙂", "\ufeff", "\t",
          "'", "x" * 300, "0", "-1.5", "#", "\\", "\u2028", "\x1f"]


def random_cell(rng):
    return "".join(rng.choice(PIECES) for _ in range(rng.choice([0, 1, 1, 2, 3, 5])))


def write_random(path, rng):
    columns = rng.randint(1, 6)
    rows = rng.choice([0, 1, 2, 7, 40])
    ending = rng.choice(["\n", "\r\n"])
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    with open(path, "w", encoding=rng.choice(["utf-8", "utf-8-sig"]), newline="") as file:
        writer = csv.writer(file, lineterminator=ending, quoting=quoting)
        cell = random_cell
        if ending == "\n" and quoting == csv.QUOTE_MINIMAL:  # Python's writer then leaves a lone CR unquoted
            cell = lambda rng: random_cell(rng).replace("\r", "\n")
        writer.writerow([f"{cell(rng)}_{i}" for i in range(columns)])
        for _ in range(rows):
            writer.writerow([cell(rng) for _ in range(columns)])
    with open(path, "rb") as file:
        data = file.read()
    cut = rng.random()
    if cut < 0.3 and data.endswith(ending.encode()):
        data = data[: -len(ending)]  # no line break at the end
    elif cut < 0.5:
        data += ending.encode()  # a blank last line
    with open(path, "wb") as file:
        file.write(data)


def write_expected(path, out):
    # newline="\n": lines end at LF alone, so that line_num counts them as an editor does and no byte is translated.
    with open(path, encoding="utf-8-sig", newline="\n") as file:
        reader = csv.reader(file, strict=True)
        records, line = [], 1
        for record in reader:
            if record:
                records.append((line, record))
            line = reader.line_num + 1
    out.text(path)
    out.number(len(records) - 1)
    out.number(len(records[0][1]))
    for line, record in records:
        out.number(line)
        for cell in record:
            out.text(cell)


def main(directory):
    os.makedirs(directory, exist_ok=True)
    csv.field_size_limit(1 << 24)
    rng = random.Random(20240611)
    out = OracleFile(os.path.join(directory, "tables.bin"))
    for i in range(400):
        path = os.path.join(directory, f"hostile_{i}.csv")
        write_random(path, rng)
        write_expected(path, out)
    write_expected(os.path.join(os.environ["MESHFOLD_TEST_DATA"], "vader.csv"), out)
    out.close()


main(sys.argv[1])
