"""The words by which verdicts, reasons and doubts are told apart, and whether a clause praises or blames.

The lists are wide where a word that is missing could turn blame into a vote, for a word too many only makes a failure
of a vote that can be asked again.
"""

from __future__ import annotations

import re

NOUN = (
    "(?:response|answer|option|assistant|output|candidate|choice|text|model|version|reply|solution|completion|item|"
    "summary|one|number|letter)"
)
LEAD = (
    "so|therefore|thus|hence|overall|finally|then|in conclusion|in summary|to conclude|to summarize|in short|i think|"
    "i believe|i would say|i'd say|in my opinion|in my view|clearly|definitely|certainly|absolutely|here is|here's|"
    "this is|it is|it's|that is|as a result|ok|okay|sure|certainly|no|nope"
)
"""What may stand before a verdict and changes nothing of it; "no" where it is not a label itself."""
CONTRAST = (
    "but|however|wait|actually|correction|although|though|yet|except|unless|instead|rather|sorry|oops|hmm|not|never|"
    "nevertheless|nonetheless|still|on second thoughts?|on reflection|just kidding|that said|if|only|scratch|strike|"
    "no|or|otherwise|maybe|perhaps"
)
"""What takes back or limits what was said before it."""
DENIAL = r"(?:no|not|never|neither|nor|none|nothing|without|hardly|barely|cannot|\w+n't|free of|far from)\b"
SUPPOSED = (
    "if|unless|when|were|would|could|might|may|maybe|perhaps|suppose|assum|say|says|said|claim|doubt|false|untrue|"
    "wrong to|pretend|some|others|people|author|user"
)
_PRAISE = re.compile(
    r"\b(?:better|best|good|great|correct|right|accura|clear|helpful|complete|concise|relevan|true|strong|superior|"
    r"prefer|excel|useful|thorough|precise|choose|chosen|well\b|answers|address|follows|faithful|fluent|funn|"
    r"perfect|nice|solid|valid|coheren|satisf|succe|wins?\b|winner|informative|appropriate|meets|acceptable|yes\b)"
)
_BLAME = re.compile(
    r"\b(?:wrong|incorrect|worse|worst|weak|inferior|poor|bad\b|badly|err(?:or|s|oneous)|mistak|fail|flaw|false|lack|"
    r"miss|ignor|off\b|irrelevan|un(?!der|ique|it|til|i)\w{3,}|in(?:accura|complet|coheren|consist|valid|adequa|"
    r"suffic|approp|compet)|mis\w{3,}|dis\w{4,}|hallucinat|confus|contradict|nonsens|useless|terribl|awful|horribl|"
    r"reject|avoid|los(?:e|es|t|er|ing)\b|problem|issue|fault|defect|broken|vague|verbose|rambl|rude|toxic|harm|danger|"
    r"too\b|overly|unlike|less\b|least|limited|short of|fabricat|invent|made up|stupid|ugly|boring|weird|repetiti|"
    r"omit|neglect|violat|illog|untru|worthless|garbage|trash|terrible|subpar|mediocre|sloppy|biased|offensive|"
    r"evades?|refus|typo|nothing|wordy|copied|dull|silly|vulgar|messy|odd\b|strange|outdated|superficial|shallow)"
)
_DENIAL = re.compile(rf"\b(?:{DENIAL})")
_DOUBT = re.compile(
    r"\b(?:could|would|should|might|may|if|unless|only|except|but|however|although|though|barely|rather)\b"
)


def polarity(clause: str) -> int | None:
    """Whether a clause, in small letters, praises (1), blames (-1), does neither (0), or both or neither surely (None).

    A denial turns it round: "not good" blames, "no errors" praises.
    """
    praise, blame = _PRAISE.search(clause) is not None, _BLAME.search(clause) is not None
    denied = _DENIAL.search(clause) is not None
    if praise == blame:
        return None if praise or denied or _DOUBT.search(clause) else 0
    if _DOUBT.search(clause):
        return None
    return (1 if praise else -1) * (-1 if denied else 1)
