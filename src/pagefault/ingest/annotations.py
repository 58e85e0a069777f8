"""Text of a PDF's page that is not in its content: values of form fields, and notes that people put on it.

Left out: links, drawings without words, and forms of XFA, which PDFium does not read.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pagefault.ingest.pages import clean

__all__ = ["page_marks"]

_MOST = 5_000  # annotations of a page that are looked at
_PASSWORD = 1 << 13  # flag of a field whose value is shown as stars
_LONGEST = 1 << 20  # bytes of one string


def page_marks(document: Any, page: Any) -> Iterator[str]:
    """Yield a line for each field of a form that says something and for each note, in the file's order."""
    raw: Any = import_module("pypdfium2.raw")
    form = document.formenv
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST)):
        if not (annotation := raw.FPDFPage_GetAnnot(page, index)):
            continue
        try:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == raw.FPDF_ANNOT_WIDGET:
                line = _field(raw, form, annotation) if form else ""
            elif kind in (raw.FPDF_ANNOT_POPUP, raw.FPDF_ANNOT_LINK):  # the text of another; where it leads
                line = ""
            else:
                line = _note(raw, annotation, kind)
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
        if line:
            yield line


def _note(raw: Any, annotation: Any, kind: int) -> str:
    """Return the text of a note; what is typed on the page itself needs no author."""
    text = _string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
    if not text or kind == raw.FPDF_ANNOT_FREETEXT:
        return text
    author = _line(raw.FPDFAnnot_GetStringValue, annotation, b"T")
    return f"Note ({author}): {text}" if author else f"Note: {text}"


def _field(raw: Any, form: Any, annotation: Any) -> str:
    """Return ``name: value`` of a field, and a box with a check box's or a radio button's name."""
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_SIGNATURE, raw.FPDF_FORMFIELD_UNKNOWN):
        return ""
    name = _line(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
    name = name or _line(raw.FPDFAnnot_GetFormFieldName, form, annotation).rpartition(".")[2]
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        box = "☒" if raw.FPDFAnnot_IsChecked(form, annotation) else "☐"
        choice = _line(raw.FPDFAnnot_GetFormFieldExportValue, form, annotation)
        of = f": {choice}" if kind == raw.FPDF_FORMFIELD_RADIOBUTTON and choice else ""
        return f"{box} {name}{of}"
    value = _value(raw, form, annotation, kind)
    return f"{name}: {value}" if value and name else value


def _value(raw: Any, form: Any, annotation: Any, kind: int) -> str:
    """Return what a field shows; empty for a password."""
    if kind == raw.FPDF_FORMFIELD_TEXTFIELD and raw.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        return ""
    is_choice = kind in (raw.FPDF_FORMFIELD_LISTBOX, raw.FPDF_FORMFIELD_COMBOBOX)
    value = ", ".join(_chosen(raw, form, annotation)) if is_choice else ""
    return value or _string(raw.FPDFAnnot_GetFormFieldValue, form, annotation)


def _chosen(raw: Any, form: Any, annotation: Any) -> Iterator[str]:
    """Yield the chosen options of a list."""
    for index in range(min(max(0, raw.FPDFAnnot_GetOptionCount(form, annotation)), _MOST)):
        if raw.FPDFAnnot_IsOptionSelected(form, annotation, index):
            yield _string(raw.FPDFAnnot_GetOptionLabel, form, annotation, index)


def _line(get: Any, *of: Any) -> str:
    return " ".join(_string(get, *of).split())


def _string(get: Any, *of: Any) -> str:
    """Return a string that PDFium writes, as UTF-16 that ends with zero, into a buffer of so many bytes."""
    size = get(*of, None, 0)
    if not 2 < size <= _LONGEST:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    get(*of, buffer, size)
    text = bytes(buffer)[: size - 2].decode("utf-16-le", "replace")
    return clean(text).strip()
