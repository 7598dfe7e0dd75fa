"""Reference files as tests/data/oracle_file.hpp reads them: 32-bit little-endian numbers and length-prefixed UTF-8."""
import struct


class OracleFile:
    def __init__(self, path):
        self.file = open(path, "wb")

    def number(self, value):
        self.file.write(struct.pack("<I", value))

    def text(self, value):
        data = value.encode("utf-8")
        self.number(len(data))
        self.file.write(data)

    def ids(self, values):
        self.number(len(values))
        self.file.write(struct.pack(f"<{len(values)}i", *values))

    def close(self):
        self.file.close()
