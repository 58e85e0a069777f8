"""Kinds of files that are not read, by their first bytes, each with the way out. Left out: those that are."""

from __future__ import annotations

import re
from importlib import import_module
from io import BytesIO
from typing import Any, NamedTuple

from pagefault.ingest.packed import BROKEN

__all__ = ["IWORK", "CompoundKind", "compound_kind", "refusal", "suffix_refusal"]

_PICTURE = (
    "It is a picture ({}); attach it to a message as an image, or load "
    "a PDF that text recognition (OCR) made of it."
)
_OTHER_PICTURE = (
    "It is a picture ({}); save it as PNG or JPEG and attach that to a message as an image, or load "
    "a PDF that text recognition (OCR) made of it."
)
_SOUND = "It is a recording ({}); load a transcript of it, as SRT, VTT or text."
_FILM = "It is a film ({}); load its subtitles, as SRT or VTT."
_PACKED = "It is an archive ({}); unpack it, and load the folder."
_PROGRAM = "It is a program ({}), and no document."
_OLD = "It is an old {}; save it as .{} in {}."
IWORK = "It is a document of Pages, Numbers or Keynote; export it as PDF or in an Office format."
_DATABASE = "It is a database ({}); export its tables as CSV."


class _Magic(NamedTuple):
    start: bytes
    sentence: str
    kind: str
    offset: int = 0


_MAGIC = (
    _Magic(b"\x89PNG", _PICTURE, "PNG"),
    _Magic(b"\xff\xd8\xff", _PICTURE, "JPEG"),
    _Magic(b"GIF8", _PICTURE, "GIF"),
    _Magic(b"WEBP", _PICTURE, "WebP", 8),
    _Magic(b"II*\0", _OTHER_PICTURE, "TIFF"),
    _Magic(b"MM\0*", _OTHER_PICTURE, "TIFF"),
    _Magic(b"icns", _OTHER_PICTURE, "Apple icon"),
    _Magic(b"8BPS", _OTHER_PICTURE, "Photoshop"),
    _Magic(b"\0\0\0\x0cjP  ", _OTHER_PICTURE, "JPEG 2000"),
    _Magic(b"\xff\x0a", _OTHER_PICTURE, "JPEG XL"),
    _Magic(b"ftypheic", _OTHER_PICTURE, "HEIC", 4),
    _Magic(b"ftypavif", _OTHER_PICTURE, "AVIF", 4),
    _Magic(b"ftypmif1", _OTHER_PICTURE, "HEIF", 4),
    _Magic(b"AT&TFORM", "It is a DjVu file; convert it to PDF with ddjvu.", ""),
    _Magic(b"ID3", _SOUND, "MP3"),
    _Magic(b"\xff\xfb", _SOUND, "MP3"),
    _Magic(b"\xff\xf3", _SOUND, "MP3"),
    _Magic(b"fLaC", _SOUND, "FLAC"),
    _Magic(b"OggS", _SOUND, "Ogg"),
    _Magic(b"WAVE", _SOUND, "WAV", 8),
    _Magic(b"ftypM4A", _SOUND, "M4A", 4),
    _Magic(b"#!AMR", _SOUND, "AMR"),
    _Magic(b"FORM", _SOUND, "AIFF"),
    _Magic(b"AVI ", _FILM, "AVI", 8),
    _Magic(b"ftyp", _FILM, "MP4", 4),
    _Magic(b"\x1aE\xdf\xa3", _FILM, "Matroska or WebM"),
    _Magic(b"FLV\x01", _FILM, "FLV"),
    _Magic(b"\x1f\x8b", _PACKED, "gzip"),
    _Magic(b"BZh", _PACKED, "bzip2"),
    _Magic(b"\xfd7zXZ", _PACKED, "xz"),
    _Magic(b"\x28\xb5\x2f\xfd", _PACKED, "Zstandard"),
    _Magic(b"7z\xbc\xaf", _PACKED, "7-Zip"),
    _Magic(b"Rar!", _PACKED, "RAR"),
    _Magic(b"ustar", _PACKED, "tar", 257),
    _Magic(b"MSCF", _PACKED, "cabinet"),
    _Magic(b"\x7fELF", _PROGRAM, "ELF"),
    _Magic(b"\xca\xfe\xba\xbe", _PROGRAM, "Java or macOS"),
    _Magic(b"\xcf\xfa\xed\xfe", _PROGRAM, "macOS"),
    _Magic(b"\0asm", _PROGRAM, "WebAssembly"),
    _Magic(b"SQLite format 3\0", _DATABASE, "SQLite"),
    _Magic(b"Standard Jet DB", _DATABASE, "Access", 4),
    _Magic(b"Standard ACE DB", _DATABASE, "Access", 4),
    _Magic(b"PAR1", _DATABASE, "Parquet"),
    _Magic(b"!BDN", "It is a mailbox of Outlook (PST); export it as MBOX or EML.", ""),
    _Magic(b"\x78\x9f\x3e\x22", "It is a message of Outlook (winmail.dat); save it from there as .msg.", ""),
    _Magic(b"BOOKMOBI", "It is a Kindle book (MOBI); convert it to EPUB with Calibre.", "", 60),
    _Magic(b"ITSF", "It is a help file (CHM); unpack it with 7-Zip, and load its HTML.", ""),
    _Magic(b"%!PS", "It is PostScript; convert it to PDF with ps2pdf.", ""),
    _Magic(b"\xffWPC", "It is a WordPerfect document; save it as .docx or .odt with LibreOffice.", ""),
    _Magic(b"HWP Document File", "It is a Hangul document (HWP); save it as .docx or PDF.", ""),
    _Magic(b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "It is a OneNote section; export it as PDF or .docx.", ""),
    _Magic(b"AC10", "It is a drawing (DWG); export it as PDF.", ""),
)  # fmt: skip

_BY_SUFFIX = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp"), _PICTURE),
    **dict.fromkeys((".bmp", ".heic", ".ico", ".svg", ".tif", ".tiff"), _OTHER_PICTURE),
    **dict.fromkeys((".mp3", ".wav", ".m4a", ".ogg", ".flac", ".aac", ".opus"), _SOUND),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm"), _FILM),
    **dict.fromkeys((".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar"), _PACKED),
    ".doc": _OLD.format("Word document (.doc)", "docx", "Word or LibreOffice"),
    ".ppt": _OLD.format("presentation (.ppt)", "pptx", "PowerPoint or LibreOffice"),
    ".pages": IWORK, ".numbers": IWORK, ".key": IWORK,
    ".mobi": "It is a Kindle book (MOBI); convert it to EPUB with Calibre.",
    ".pst": "It is a mailbox of Outlook (PST); export it as MBOX or EML.",
}  # fmt: skip
_WORDS = re.compile(rb"[\w !]+")  # first bytes that a text may have there
_SMALL = b"MZ"  # begins programs of Windows, and words too
_BITMAP = re.compile(rb"(?s)BM.{4}\0{4}")  # words begin so, too, without the zeros


def refusal(data: bytes) -> str:
    """Return the reason why a file of this content is not read; empty if its first bytes say none."""
    for magic in _MAGIC:
        if not data.startswith(magic.start, magic.offset):
            continue
        if not (_WORDS.fullmatch(magic.start) and _is_text(data)):
            return magic.sentence.format(magic.kind)
    if data.startswith(_SMALL) and b"\0" in data[:64]:
        return _PROGRAM.format("Windows")
    return _OTHER_PICTURE.format("BMP") if _BITMAP.match(data) else ""


def suffix_refusal(suffix: str) -> str:
    """Return the reason why files with this suffix, in lower case, are not read; empty if it says none."""
    return _BY_SUFFIX.get(suffix, "").format(suffix.lstrip(".").upper())


def _is_text(data: bytes) -> bool:
    """Return whether a file that begins with the letters of a kind may be a text about it."""
    head = data[:1024]
    return b"\0" not in head and not any(byte > 0xF7 for byte in head) and _decodes(head)


def _decodes(head: bytes) -> bool:
    try:
        head[: head.rfind(b" ") + 1 or None].decode()
    except UnicodeDecodeError:
        return False
    return True


class CompoundKind(NamedTuple):
    """A compound file of the older Office: the media type that is read, or the reason why it is not."""

    media: str = ""
    why: str = ""


_STREAMS = (
    ("EncryptedPackage", CompoundKind(why="It is encrypted; save it without a password.")),
    ("__properties_version1.0", CompoundKind("application/vnd.ms-outlook")),
    ("Workbook", CompoundKind("application/vnd.ms-excel")),
    ("Book", CompoundKind("application/vnd.ms-excel")),
    ("WordDocument", CompoundKind(why=_BY_SUFFIX[".doc"])),
    ("PowerPoint Document", CompoundKind(why=_BY_SUFFIX[".ppt"])),
    ("VisioDocument", CompoundKind(why="It is a drawing of Visio; export it as PDF.")),
    ("Quill", CompoundKind(why="It is a publication of Publisher; export it as PDF.")),
    ("FileHeader", CompoundKind(why="It is a Hangul document (HWP); save it as .docx or PDF.")),
    ("MatOST", CompoundKind(why="It is a document of Works; save it as .docx in LibreOffice.")),
)  # fmt: skip
_NO_KIND = CompoundKind(
    why="It is encrypted, or an old .doc or the like; save it as .docx, .xlsx, .pptx or PDF."
)


def compound_kind(data: bytes) -> CompoundKind:
    """Return what a compound file is, by the streams in it."""
    olefile: Any = import_module("olefile")
    try:
        with olefile.OleFileIO(BytesIO(data)) as held:
            names = {each[0].lower() for each in held.listdir(streams=True, storages=True)}
    except BROKEN:
        return CompoundKind(
            why="It is a damaged file of an older Office program, or a part of one; get it anew."
        )
    return next((kind for name, kind in _STREAMS if name.lower() in names), _NO_KIND)
