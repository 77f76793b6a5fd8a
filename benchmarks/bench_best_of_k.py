"""Selection of the best of ten: the least lower 95 % bound of its success over configurations; the promise is 0.95, required 0.92."""

from benchmarks.best_of_k import lower_bound, normal, skewed, successes

RESULTS = ("best_of_k_success_lower",)


def run() -> dict[str, float]:
    """Slippage (one best) and ties (five equally good), normal and skewed, with and without common luck; 500 macro-runs each."""
    bounds: list[float] = []
    for noise in (normal, skewed):
        for good in (1, 5):
            for common in (0.0, 3.0):
                bounds.append(lower_bound(successes(noise, common, good, seed=len(bounds))))
                print(f"{noise.__name__}, {good} good, common {common:g}: at least {bounds[-1]:.4f}", flush=True)
    return {"best_of_k_success_lower": min(bounds)}
