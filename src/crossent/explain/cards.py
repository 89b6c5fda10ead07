"""Loss cards: what each loss of the family is, what it is for and what may be relied on; `crossent losses` lists them.

This is the one registry: a new loss is a new card, and a test holds the cards against `crossent.__all__`.
"""

from dataclasses import asdict, dataclass

__all__ = ["CARDS", "LossCard"]


@dataclass(frozen=True)
class LossCard:
    """One loss.

    Attributes:
        name: the class in `crossent`.
        function: its shorthand there.
        formula: the loss of one row (or element) in nats; z logits, p = softmax(z) or sigmoid(z), y the target.
        use: what it is for.
        proper: whether its expectation is smallest at the true probabilities, and only there.
        convex: whether it is convex in the logits.

    >>> CARDS[0].name, CARDS[0].proper
    ('CrossEntropy', True)
    """

    name: str
    function: str
    formula: str
    use: str
    proper: bool
    convex: bool

    def to_dict(self) -> dict[str, str | bool]:
        """The card as plain values."""
        return asdict(self)


CARDS: tuple[LossCard, ...] = (
    LossCard(
        name="CrossEntropy",
        function="cross_entropy",
        formula="log(sum_k exp(z_k)) - z_y = -log p_y",
        use="one class of K",
        proper=True,
        convex=True,
    ),
    LossCard(
        name="BinaryCrossEntropy",
        function="binary_cross_entropy",
        formula="log(1 + exp(z)) - y z = -y log p - (1 - y) log(1 - p)",
        use="yes or no; several labels at once",
        proper=True,
        convex=True,
    ),
)
