"""A machine's screen, the one that ESXi's host client shows: read as text, taken as a picture, typed at.

The text console draws each character as one glyph of 8 × 16 pixels, and what is drawn is read back glyph by glyph.
"""

from __future__ import annotations

import base64
import functools
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from paver.errors import PaverError
from paver.lab.qemu.console import Watched
from paver.lab.qemu.monitor import Monitor

_WIDTH, _HEIGHT = 8, 16
_FIRST = 0x20
# Linux's own font on a screen of pixels, a glyph of 16 rows for each of ASCII's printable characters; a firmware's is
# drawn a little otherwise.
_PACKED = (
    b"c-nPTJ!|AJ5EUs@nPp2AORD?;b43t`e#uoLg-D@dtHp&dsrGl7EmWD5t`?JOt0SZeDHi2Mqme9cxQ7jXo*B*8vl+XEP)Z3Q7"
    b"+ev?n1{84wZY<z-op9Q;5a{eM-lAg8_{ZiOiWrU59e_l4@ld#)vM#c7a^L&;Q=Aq;$qadGIfcf&$+61RR9a@XI~}aj>r0jmt"
    b"3Fs)8xIC<R?3U=o5E7x%*H!SDbV2sQ#U@V}OG1DfKW6*UBz6a1S6JAU^e+&jV9skIy~CH{Gi8s$t@}T`Ui##*0IbR|eXmPdU"
    b"G-_KPp(c|H%6e;Wr9VnK;tK>-eKb4^^C6LdJ7j7t2=8if6#{>;;J_pF~xSaGdCs`%M^^E>gF3DZ$NB?xr>J*olpL-V*ms;+~"
    b"im&89bqU7`MAxzbI{_+{-*M;M(t9fI8dZ~}>)9ji}vBw@S#ja(;OMKt|S=H-r&L?K&cHz@Bg?F2|by7N;>x;8g)p@}m<MK{f"
    b"f2t*roxKcid%4^2JF+(fmAA?Mhwt>c{dnIsu6(cTP3sO<?26ra5J2v42bt`+_@g~k_Qzjs7wav0W{2oLx&~JY=i7r><_o%%^"
    b"*lLe8;&q2Iq**cAb)wI7r@^D1D=+?&q<+Gebs)7-4zMs`tm1zKA1%x7!L}_@!Ph&#`Yd}#g5_CJV*c)j{>j@w^G)7N{Z=ulR"
    b"v33{!eND8)$VO``wfuA0hE*i#}qXdO5FF`wxzmV;T"
)
_FONT = zlib.decompress(base64.b85decode(_PACKED))
_GLYPHS = {_FONT[at : at + _HEIGHT]: chr(_FIRST + at // _HEIGHT) for at in range(0, len(_FONT), _HEIGHT)}


class Screen(Watched):
    """A machine's screen and keyboard.

    Args:
        monitor: the machine's.
    """

    def __init__(self, monitor: Monitor) -> None:
        super().__init__("the screen")
        self._monitor = monitor

    def text(self) -> str:
        """Returns what it shows, a line a row; nothing where it shows no text."""
        with tempfile.TemporaryDirectory(prefix="paver-screen-") as folder:
            shot = Path(folder) / "screen.ppm"
            self._monitor.screen(shot, "ppm")
            return "\n".join(_rows(shot.read_bytes()))

    def picture(self, into: Path) -> None:
        """Writes what it shows as the PNG `into`."""
        self._monitor.screen(into)

    def type(self, text: str) -> None:
        """Types on the keyboard, a US one."""
        self._monitor.type(text)


def _rows(ppm: bytes) -> Iterator[str]:
    kind, size, most, pixels = ppm.split(b"\n", 3)
    if (kind, most) != (b"P6", b"255"):
        raise PaverError("QEMU's picture of the screen can't be read", seen=repr(ppm[:20]))
    width, height = map(int, size.split())
    # The VGA's own text mode has a column of nothing between two characters.
    step = (_WIDTH + (width == 80 * (_WIDTH + 1))) * 3
    for top in range(0, height - _HEIGHT + 1, _HEIGHT):
        lines = [pixels[row * width * 3 : (row + 1) * width * 3] for row in range(top, top + _HEIGHT)]
        starts = range(0, width * 3 - _WIDTH * 3 + 1, step)
        cells = (b"".join(line[at : at + _WIDTH * 3] for line in lines) for at in starts)
        yield "".join(map(_character, cells)).rstrip()


@functools.lru_cache(1024)
def _character(cell: bytes) -> str:
    """Returns the character whose glyph a cell of pixels is most like."""
    ground = cell[:3]
    rows = bytes(
        sum(
            (cell[at : at + 3] != ground) << (_WIDTH - 1 - column)
            for column, at in enumerate(range(row, row + _WIDTH * 3, 3))
        )
        for row in range(0, len(cell), _WIDTH * 3)
    )
    if rows not in _GLYPHS:
        rows = min(_GLYPHS, key=lambda glyph: _apart(glyph, rows))
    return _GLYPHS[rows]


def _apart(one: bytes, other: bytes) -> int:
    return sum((left ^ right).bit_count() for left, right in zip(one, other, strict=True))
