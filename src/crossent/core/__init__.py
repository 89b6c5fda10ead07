"""Every rule about input once, every loss once: checks, labels, formulas, the engine that runs them, threads."""
