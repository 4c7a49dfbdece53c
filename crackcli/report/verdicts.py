"""Words of people in the column ``review``."""

ACCEPTED, REJECTED, UNREVIEWED = "accepted", "rejected", "unreviewed"
WORDS = {
    ACCEPTED: {"accepted", "accept", "ok", "yes", "true"},
    REJECTED: {"rejected", "reject", "false", "no"},
    UNREVIEWED: {"unreviewed", ""},
}
VERDICTS = {word: verdict for verdict, words in WORDS.items() for word in words}


def verdict_of(word: object) -> str | None:
    """Return the verdict that a word stands for; None for an unknown word."""
    return VERDICTS.get(str(word or "").strip().casefold())
