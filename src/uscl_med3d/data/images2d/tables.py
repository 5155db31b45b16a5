"""Cells of the first sheet of an .xlsx file, without a spreadsheet library."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from uscl_med3d.core.errors import InputError

_LARGEST = 20_000_000  # bytes of an unpacked part; the tables of image sets have some thousand


def read_sheet(file: Path) -> list[dict[str, str]]:
    """Rows of the first sheet as {name in the first row: text}; empty cells are left out.

    Raises:
        InputError: for a file that is not a readable workbook.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            strings = (
                _strings(_part(archive, "xl/sharedStrings.xml")) if "xl/sharedStrings.xml" in names else []
            )
            first = min(name for name in names if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name))
            cells = _cells(_part(archive, first), strings)
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, IndexError, ValueError) as error:
        raise InputError(
            file=file,
            found=f"not readable as a workbook ({type(error).__name__})",
            expected="an .xlsx file",
            remedy="unpack the set again",
        ) from error
    rows = sorted({row for row, _ in cells})
    header = {column: text.strip() for (row, column), text in cells.items() if rows and row == rows[0]}
    return [
        {
            header[column]: text.strip()
            for (at, column), text in cells.items()
            if at == row and column in header
        }
        for row in rows[1:]
    ]


def _part(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > _LARGEST:
        raise ValueError(f"{name} is larger than {_LARGEST} bytes")
    text = archive.read(name)
    if b"<!DOCTYPE" in text:  # entities could be made to grow without bound
        raise ValueError(f"{name} declares a document type")
    return ElementTree.fromstring(text)


def _strings(root: ElementTree.Element) -> list[str]:
    return ["".join(part.text or "" for part in entry.iter() if _tag(part) == "t") for entry in root]


def _cells(root: ElementTree.Element, strings: list[str]) -> dict[tuple[int, str], str]:
    cells = {}
    for cell in (element for element in root.iter() if _tag(element) == "c"):
        match = re.fullmatch(r"([A-Z]+)(\d+)", cell.get("r", ""))
        text = "".join(part.text or "" for part in cell.iter() if _tag(part) in ("v", "t"))
        if match and text:
            value = strings[int(text)] if cell.get("t") == "s" else text
            cells[int(match.group(2)), match.group(1)] = value
    return cells


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
