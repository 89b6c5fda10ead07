"""The long profile of `make fuzz`: new examples in every run, and how to repeat the one that failed."""

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "fuzz",
    settings(
        deadline=None,
        derandomize=False,
        database=None,
        max_examples=100,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate],  # no shrinking: it may take minutes, and the time is bounded
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    ),
)
