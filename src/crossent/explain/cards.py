"""Loss cards: what each loss of the family is, what it is for and what may be relied on; `crossent losses` lists them.

This is the one registry: a new loss is a new card, and a test holds the cards against `crossent.__all__`.

Why the answers are what they are. Write a row loss as f(log p_t) with slope s = -f' and curvature c = f''.
Proper: at p = pi, the truth, the expected loss has the gradient pi_k (sum_j pi_j s(pi_j) - s(pi_k)), which is 0 for
every pi only if s is constant (for two classes, if s(p) = s(1 - p), which none of these has): only -log p is proper.
Convex: of all directions v with the same v_t - E[v], the one in which only the target's logit moves bends least, by
(s p + c (1 - p)) (1 - p); so convex means s p + c (1 - p) >= 0 for all p. Focal (gamma > 0) and (1 - p^q) / q break it
at small p; a (-log p) + b (1 - p) has p (a + b (2p - 1)), hence b <= a. The entropy H of p = softmax(z) bends by
-Var(v) - E[(v - E[v])^2 (H + log p)] >= -(1 + log K) Var(v), cross-entropy by Var(v): Bootstrap's condition.
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
        source: the paper that it comes from.
        proper: whether its expectation is smallest at the true probabilities, and only there.
        convex: whether it is convex in the logits.
        remark: for which parameters proper or convex change, and what else to know; both are said of the defaults.

    >>> CARDS[0].name, CARDS[0].proper
    ('CrossEntropy', True)
    """

    name: str
    function: str
    formula: str
    use: str
    source: str
    proper: bool
    convex: bool
    remark: str = ""

    def to_dict(self) -> dict[str, str | bool]:
        """The card as plain values."""
        return asdict(self)


CARDS: tuple[LossCard, ...] = (
    LossCard(
        name="CrossEntropy",
        function="cross_entropy",
        formula="log(sum_k exp(z_k)) - z_y = -log p_y",
        use="one class of K",
        source="Good, J. R. Stat. Soc. B 1952",
        proper=True,
        convex=True,
    ),
    LossCard(
        name="BinaryCrossEntropy",
        function="binary_cross_entropy",
        formula="log(1 + exp(z)) - y z = -y log p - (1 - y) log(1 - p)",
        use="yes or no; several labels",
        source="Good, J. R. Stat. Soc. B 1952",
        proper=True,
        convex=True,
    ),
    LossCard(
        name="Focal",
        function="focal",
        formula="(1 - p_y)^gamma (-log p_y)",
        use="imbalance: many easy rows",
        source="Lin et al., ICCV 2017",
        proper=False,
        convex=False,
        remark="gamma = 0 is CrossEntropy; else its minimum has the right class, not its probability: calibrate.",
    ),
    LossCard(
        name="BinaryFocal",
        function="binary_focal",
        formula="-y (1 - p)^gamma log p - (1 - y) p^gamma log(1 - p)",
        use="imbalance: many easy labels",
        source="Lin et al., ICCV 2017",
        proper=False,
        convex=False,
        remark="gamma = 0 is BinaryCrossEntropy; else its minimum is less sure than the truth: calibrate.",
    ),
    LossCard(
        name="Poly1",
        function="poly1",
        formula="-log p_y + epsilon (1 - p_y)",
        use="how hard to press sure rows",
        source="Leng et al., ICLR 2022",
        proper=False,
        convex=True,
        remark="epsilon = 0 is CrossEntropy; convex for epsilon <= 1.",
    ),
    LossCard(
        name="GeneralizedCrossEntropy",
        function="generalized_cross_entropy",
        formula="(1 - p_y^q) / q",
        use="noisy labels: at most 1 / q",
        source="Zhang & Sabuncu, NeurIPS 2018",
        proper=False,
        convex=False,
        remark="q -> 0 is CrossEntropy; q = 1 is 1 - p_y, whose minimum is a single sure class.",
    ),
    LossCard(
        name="SymmetricCrossEntropy",
        function="symmetric_cross_entropy",
        formula="alpha (-log p_y) - beta log_zero (1 - p_y)",
        use="noisy labels",
        source="Wang et al., ICCV 2019",
        proper=False,
        convex=False,
        remark="beta = 0 is CrossEntropy; convex for beta |log_zero| <= alpha.",
    ),
    LossCard(
        name="LogitAdjusted",
        function="logit_adjusted",
        formula="-log p_y with p = softmax(z + tau log pi)",
        use="imbalance: rare classes",
        source="Menon et al., ICLR 2021",
        proper=True,
        convex=True,
        remark="proper in that p; predict with z alone, whose softmax tends to the truth / pi^tau, normalised.",
    ),
    LossCard(
        name="Bootstrap",
        function="bootstrap",
        formula="-beta log p_y + (1 - beta) H(p); hard: -log max_k p_k for H(p)",
        use="noisy labels: trust p a bit",
        source="Reed et al., arXiv:1412.6596",
        proper=False,
        convex=True,
        remark="beta = 1 is CrossEntropy; convex for beta >= (1 - beta)(1 + log K), hard=True never.",
    ),
    LossCard(
        name="LinearCrossEntropy",
        function="linear_cross_entropy",
        formula="CrossEntropy of z = W h + b",
        use="logits too big for memory",
        source="Wijmans et al., ICLR 2025",
        proper=True,
        convex=True,
        remark="convex in W and b for given h, not in W and h together.",
    ),
    LossCard(
        name="LinearBinaryCrossEntropy",
        function="linear_binary_cross_entropy",
        formula="BinaryCrossEntropy of z = W h + b, summed over labels",
        use="very many labels",
        source="as LinearCrossEntropy",
        proper=True,
        convex=True,
        remark="as LinearCrossEntropy.",
    ),
)
