"""Hostile JSON texts, conversations and JSON Lines tables, and what Python's json and csv modules read from them."""
import csv
import json
import os
import random
import sys

from binary import OracleFile

PIECES = ["", "a", "word", " ", '"', "\\", "/", "\n", "\t", "\r", "\b", "\f", "\x00", "\x1f", "\x7f", "é", "漢字", "🙂", "\ufeff", "\u2028", "\ud83d", "\ude42",
          "\ud83d\ud83d", "\udfff\ud800", "\uffff", "\U0010ffff", "x" * 200, "[", "]", "{", "}", ",", ":", "null", "true", "1e5"]
CHANGES = ['"', "\\", "\\u", "\\ud83d", "\\ude42", "\\uD8", "\\x", ",", ":", "[", "]", "{", "}", " ", "\t", "\n", "0", "1", "-", "+", ".", "e", "E", "true", "null",
           "nul", "NaN", "-Infinity", "'", "\x01", "é", "//", "None"]


def without_lone_surrogates(text):
    # Python joins an escaped pair into one character; what is left of the surrogates is alone.
    return text.encode("utf-8", "ignore").decode("utf-8")


def random_string(rng):
    return "".join(rng.choice(PIECES) for _ in range(rng.choice([0, 1, 1, 2, 4])))


def random_value(rng, depth):
    kind = rng.randrange(8 if depth > 0 else 6)
    if kind < 2:
        return random_string(rng)
    if kind == 2:
        return rng.choice([0, -1, 17, 2**70, -0.0, 1.5, 1e300, -2.5e-12])
    if kind < 6:
        return rng.choice([True, False, None])
    if kind == 6:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {random_string(rng): random_value(rng, depth - 1) for _ in range(rng.randrange(4))}


def dumped(value, rng):
    text = json.dumps(value, ensure_ascii=True, indent=rng.choice([None, None, 1]), separators=rng.choice([None, (",", ":"), (" , ", " : ")]))
    if rng.random() < 0.3:
        raw = json.dumps(value, ensure_ascii=False)
        text = raw if without_lone_surrogates(raw) == raw else text
    return text


def changed(text, rng):
    """A few random edits."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randint(0, len(text))
        edit = rng.randrange(3)
        if edit == 0:
            text = text[:at] + rng.choice(CHANGES) + text[at:]
        elif edit == 1:
            text = text[:at] + text[at + rng.choice([1, 1, 2, 5]):]
        else:
            text = text[:at]
    return text


def no_constant(name):
    raise ValueError(name)


def parsed(text):
    """(True, value), or (False, None) for what is no JSON."""
    try:
        return True, json.loads(text, parse_constant=no_constant)
    except ValueError:
        return False, None


def write_documents(path, rng):
    out = OracleFile(path)
    for i in range(6000):
        text = dumped(random_value(rng, 3), rng)
        if i % 3 != 0:
            text = changed(text, rng)
        good, _ = parsed(text)
        out.text(text)
        out.number(good)
    for text in ("[" * 900 + "]" * 900, "[" * 900 + "]" * 899, '{"a":' * 300 + "1" + "}" * 300):
        good, _ = parsed(text)
        out.text(text)
        out.number(good)
    out.close()


def real_sentences(rng, count):
    with open(os.path.join(os.environ["MESHFOLD_TEST_DATA"], "ua_gec.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["response_a"], row["response_b"]) for row in rng.sample(rows, count)]


def write_turns(path, rng):
    cells = [json.dumps(random_value(rng, 2)) for _ in range(300)]
    for _ in range(3000):
        turns = [rng.choice([None, random_string(rng), random_string(rng)]) for _ in range(rng.randrange(5))]
        cell = dumped(turns, rng)
        cells.append(changed(cell, rng) if rng.random() < 0.5 else cell)
    for first, second in real_sentences(rng, 500):
        cells.append(json.dumps([first, None, second, first + "\ud83d"]))
        cells.append(json.dumps([first, second], ensure_ascii=False))
    cells += ["", "  ", "null", " [ ] ", "['a', 'b']", '["a", None]', '["a"] ["b"]', '["a",]', "[1]", '[["a"]]', '"a"', '["\\ud83d\\ude42"]', '["\\ude42\\ud83d"]',
              '["\\ud83d\\ud83d\\ude42"]', '["\\ud83dx\\ude42"]', '["\\ud83d\\n"]']
    out = OracleFile(path)
    for cell in cells:
        good, value = (True, None) if not cell.strip(" \t\r\n") else parsed(cell)
        if good and value is None:
            value = []
        good = good and isinstance(value, list) and all(turn is None or isinstance(turn, str) for turn in value)
        out.text(cell)
        out.number(good)
        if good:
            out.number(len(value))
            for turn in value:
                out.text(without_lone_surrogates(turn or ""))
    out.close()


def write_table(path, rng, out):
    """One table of scalars: keys in any order, some missing; numbers must come back as they are written."""
    keys = [f"{random_string(rng)}_{i}" for i in range(rng.randint(1, 6))]
    ending = rng.choice(["\n", "\r\n"])
    text, line, order, rows = rng.choice(["", "\ufeff"]), 1, [], []
    for _ in range(rng.choice([1, 2, 7, 40])):
        while rng.random() < 0.2:
            text, line = text + rng.choice(["", "  ", "\t"]) + ending, line + 1
        row = {key: random_value(rng, 0) for key in rng.sample(keys, rng.randint(0 if order else 1, len(keys)))}
        text += json.dumps(row) + ending
        row = json.loads(json.dumps(row), parse_int=str, parse_float=str)
        rows.append((line, row))
        line += 1
        order += [key for key in row if key not in order]
    if rng.random() < 0.3:
        text = text[: -len(ending)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    out.text(path)
    out.number(len(rows))
    out.number(len(order))
    for key in order:
        out.text(without_lone_surrogates(key))
    for line, row in rows:
        out.number(line)
        for key in order:
            value = row.get(key)
            out.text({True: "true", False: "false", None: ""}[value] if value in (True, False, None) else without_lone_surrogates(value))


def write_real_table(source, path):
    """The rows of a CSV file as JSON Lines, every value a string."""
    with open(source, encoding="utf-8", newline="") as file, open(path, "w", encoding="utf-8", newline="\n") as out:
        for i, row in enumerate(csv.DictReader(file)):
            out.write(json.dumps(row, ensure_ascii=i % 2 == 0) + "\n")


def main(directory):
    os.makedirs(directory, exist_ok=True)
    rng = random.Random(20250309)
    write_documents(os.path.join(directory, "documents.bin"), rng)
    write_turns(os.path.join(directory, "turns.bin"), rng)
    out = OracleFile(os.path.join(directory, "tables.bin"))
    for i in range(200):
        write_table(os.path.join(directory, f"hostile_{i}.jsonl"), rng, out)
    out.close()
    write_real_table(os.path.join(os.environ["MESHFOLD_TEST_DATA"], "vader.csv"), os.path.join(directory, "vader.jsonl"))


main(sys.argv[1])
