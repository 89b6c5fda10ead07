"""The loss histogram: how many rows have a loss of which size, and which of them make up the total."""

from crossent.plots.style import FONT_SIZE, INK, MUTED, SOFT, WARM, Axes, bare, own_axes, plain_log_ticks
from crossent.plots.wanted import check_drawn
from crossent.scoring import LossBin, Score
from crossent.wording import counted

__all__ = ["loss_histogram"]

_LEGEND = ("of the rows", "of the loss", "mean", "mean of finite")
_TAIL = 0.01
_HEAD, _HEAD_OF_TWO = 0.88, 0.8  # how far up the axes bars and lines reach, with one and two lines of text above them
_SMALLEST = 2.0**-14  # rows with less loss than this share one bar


def loss_histogram(score: Score, *, ax: Axes | None = None) -> Axes:
    """Share of the rows (bars) and share of the loss (line) by size of the loss, on a logarithmic axis.

    The shaded tail holds the worst 1 % of the rows; its label tells their share of the loss.

    Args:
        score: a Score.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    check_drawn(score, "loss_histogram", Score)
    ax = own_axes(ax)
    bare(ax, x="loss of a row [nat]", y="share")
    ax.set_xscale("log")
    bars = _bars(score.histogram)
    for k, (low, high, height, _) in enumerate(bars):
        label = "of the rows" if k == 0 else None
        ax.bar(low, height, high - low, align="edge", color=SOFT, linewidth=0, label=label)
    if bars:
        _draw_loss_shares(bars, ax)
    head = _HEAD_OF_TWO if score.infinities.rows else _HEAD
    _draw_tail(score, bars, head, ax)
    mean = score.infinities.finite.value
    if mean is not None and mean >= _SMALLEST:
        label = "mean of finite" if score.infinities.rows else "mean"
        ax.axvline(mean, ymax=head, color=INK, linewidth=1, linestyle=(0, (2, 2)), label=label)
    plain_log_ticks(ax.xaxis)
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    ax.set_ylim(0, ax.get_ylim()[1] / head)
    _draw_legend(ax)
    if score.infinities.rows:
        text = f"and {counted(score.infinities.rows)} at \N{INFINITY}"
        ax.text(0.995, 0.89, text, transform=ax.transAxes, ha="right", va="top", color=WARM, fontsize=FONT_SIZE)
    elif not bars:
        ax.text(0.5, 0.5, "no finite loss", transform=ax.transAxes, ha="center", color=MUTED, fontsize=FONT_SIZE)
    return ax


def _draw_tail(score: Score, bars: list[tuple[float, float, float, float]], head: float, ax: Axes) -> None:
    """Shades the losses of the worst 1 % of the rows, and tells the share of the loss that they hold."""
    start = _tail_start(bars)
    if score.worst_share is None or start is None:
        return
    end = bars[-1][1]
    ax.axvspan(start, end, ymax=head, color=WARM, alpha=0.13, linewidth=0)
    ax.axvline(start, ymax=head, color=WARM, linewidth=0.8)
    text = f"worst 1 %: {100 * score.worst_share:.3g} % of the loss"
    ax.text(0.995, 0.98, text, transform=ax.transAxes, ha="right", va="top", color=WARM, fontsize=FONT_SIZE)


def _tail_start(bars: list[tuple[float, float, float, float]]) -> float | None:
    """The loss above which 1 % of the rows with a finite loss lie; inside a bar rows are spread evenly on the axis."""
    wanted = _TAIL * sum(share for _, _, share, _ in bars)
    for low, high, share, _ in reversed(bars):
        if share >= wanted:
            return float(high * (low / high) ** (wanted / share))
        wanted -= share
    return None


def _draw_legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        order = sorted(range(len(labels)), key=lambda k: _LEGEND.index(labels[k]))
        ax.legend(
            [handles[k] for k in order],
            [labels[k] for k in order],
            frameon=False,
            ncols=3,
            loc="lower left",
            bbox_to_anchor=(-0.02, 0.98),
            fontsize=FONT_SIZE,
            labelcolor=INK,
            handlelength=1.3,
            columnspacing=1.4,
            borderpad=0.2,
        )


def _bars(histogram: tuple[LossBin, ...]) -> list[tuple[float, float, float, float]]:
    """(low, high, share of rows, share of loss), with the smallest losses in one bar and finite edges."""
    small = [b for b in histogram if b.upper <= _SMALLEST]
    bars = []
    if small:
        shares = sum(b.weight_share for b in small), sum(b.loss_share for b in small)
        bars.append((_SMALLEST / 2**0.5, _SMALLEST, *shares))
    for b in (b for b in histogram if b.upper > _SMALLEST):
        high = b.upper if b.upper < float("inf") else b.lower * 2**0.5
        bars.append((b.lower, high, b.weight_share, b.loss_share))
    return bars


def _draw_loss_shares(bars: list[tuple[float, float, float, float]], ax: Axes) -> None:
    """A line of steps that falls to zero where no row lies."""
    edges, heights = [bars[0][0]], []
    for low, high, _, share in bars:
        if low > edges[-1] * 1.001:
            edges.append(low)
            heights.append(0.0)
        edges.append(high)
        heights.append(share)
    ax.stairs(heights, edges, color=WARM, linewidth=1.5, label="of the loss")
