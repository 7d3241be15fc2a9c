"""Stands in for a language model: the clearer the prompt asks for one word, the better it listens."""

GOOD = ("joy", "funny", "again", "best", "heart", "clever", "cheered", "earns", "big", "brave", "laughed", "delight")


def respond(prompt: str) -> str:
    """The response to a prompt."""
    text = prompt.lower()
    verdict = "positive" if any(word in text for word in GOOD) else "negative"
    if "one word" in text or "only" in text or "answer" in text:
        return verdict
    if sum(map(ord, text)) % 3 == 0:  # without being told, it rambles now and then
        return "That depends on who you ask: some would call it positive and others negative."
    return f"I think that the review is {verdict}."
