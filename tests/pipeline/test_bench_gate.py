"""The simulated gate: an equal model passes, a clearly worse domain is found, and alone."""

from pipeline.bench.gate import markdown, run


def test_an_equal_model_passes_and_a_worse_domain_is_found():
    figures = run(domains=8, rows=30_000, repeat=20, noises=[0.0, 2.5])
    assert figures["blocked"] <= 0.15  # 5 percent are promised: more than 3 of 20 are seen once in 60 times
    nothing, much = figures["power"]
    assert abs(nothing["lost"]) < 0.01 and nothing["found"] <= 0.1
    assert much["lost"] > 0.05 and much["found"] >= 0.9 and much["others"] <= 0.15
    text = markdown(figures, "mdr bench gate")
    assert "30,000 test rows in 8 domains" in text and f"| {much['lost']:.4f} |" in text
