"""Numbers as the tables show them: three digits, powers of ten only for what lies decades apart; times with units."""

__all__ = ["milliseconds", "number", "power_text", "time_text"]


def number(x: float) -> str:
    """Three significant digits, all digits of the whole part.

    >>> number(15845.2), number(12.345), number(0.01234), number(0)
    ('15845', '12.3', '0.0123', '0')
    """
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}" if abs(x) >= 1e-4 or x == 0 else f"{x:.1g}"


def milliseconds(seconds: float) -> str:
    """Seconds in milliseconds.

    >>> milliseconds(0.0123)
    '12.3'
    """
    return number(seconds * 1e3)


def power_text(x: float) -> str:
    """One digit and a power of ten, for what lies decades apart.

    >>> power_text(1e-6), power_text(0.0213)
    ('1e-6', '2e-2')
    """
    digit, _, power = f"{x:.0e}".partition("e")
    return f"{digit}e{int(power)}"


def time_text(seconds: float) -> str:
    """A time with its unit.

    >>> time_text(6e-6), time_text(0.0123), time_text(754)
    ('6 µs', '12.3 ms', '12.6 min')
    """
    if seconds < 1e-4:
        return f"{number(seconds * 1e6)} µs"
    if seconds < 1:
        return f"{number(seconds * 1e3)} ms"
    return f"{number(seconds)} s" if seconds < 120 else f"{number(seconds / 60)} min"
