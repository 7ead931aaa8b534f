"""Linear probes: how much of something known a code holds, as far as a linear map can read it.

Numbers are read by ridge regression, always of people whom the probe has not seen. Identities are read by ridge
regression on one column per person, of frames that the probe has not seen. One decomposition of the codes serves all
truths and all strengths of the ridge; scikit-learn would need one for each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FOLDS = 5  # groups of people, each of which is predicted from the others
INNER = 3  # the same among the people of the training, to choose the strength of the ridge
# Strengths of the ridge, of the number of training rows (columns are scaled to a spread of 1).
STRENGTHS = 10.0 ** np.arange(-4, 4)
CONSTANT_BELOW = 1e-6  # spread of a column in its own unit, below which it says nothing
SEED = 20_231  # of the permutation that shows what chance reaches


def explained(codes: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float:
    """R² of truths that a probe reads from codes, for people whom it has not seen, 1 at most.

    codes, truths: per person [T D] and [T K]. R² is one minus the squared error over that of the mean, summed over all
    people and the K columns in their own unit. Below 0: worse than the mean. NaN: fewer than two people, or constant.
    """
    people = len(codes)
    if people < 2:
        return float("nan")
    x, y, who = np.concatenate(codes), np.concatenate(truths), _numbers(codes)
    guess = np.zeros_like(y, dtype=np.float64)
    for test in _folds(who, FOLDS):
        strength = _best_strength(x[~test], y[~test], who[~test])
        guess[test] = ridge(x[~test], y[~test], x[test], np.array([strength]))[0]
    spread = np.square(y - y.mean(0)).sum()
    return float(1 - np.square(y - guess).sum() / spread) if spread > CONSTANT_BELOW else float("nan")


def explained_by_chance(codes: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float:
    """`explained` after the truths of all frames were exchanged at random, the same way at every call."""
    y = np.random.default_rng(SEED).permutation(np.concatenate(truths))
    return explained(codes, np.split(y, np.cumsum([len(t) for t in truths])[:-1]))


def identified(codes: Sequence[np.ndarray]) -> float:
    """Share of frames whose person a probe names. codes: per person [T D], four frames at least, else NaN.

    It learns the first half of each person's frames and names the second. Chance is one over the number of people.
    """
    if min(len(code) for code in codes) < 4 or len(codes) < 2:
        return float("nan")
    halves = [np.array_split(code, 2) for code in codes]
    quarters = [np.array_split(first, 2) for first, _ in halves]
    tried = _named([a for a, _ in quarters], [b for _, b in quarters], STRENGTHS)
    best = STRENGTHS[[int(tried.argmax())]]
    return float(_named([a for a, _ in halves], [b for _, b in halves], best)[0])


def ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Ridge regression from x [N D] to y [N K], at new [M D], for each strength: [S M K].

    Constant columns are left out, the others are scaled; the mean of y is not penalised. Results stay in the range of
    y: a column that hardly varies in x may be far away in one new row.
    """
    centre, scale = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    keep = scale > CONSTANT_BELOW
    left, size, right = np.linalg.svd((x[:, keep] - centre[keep]) / scale[keep], full_matrices=False)
    middle = y.mean(0)
    parts = left.T @ (y - middle)
    shown = (new[:, keep] - centre[keep]) / scale[keep] @ right.T
    shrunk = size / (size**2 + strengths[:, None] * len(x))
    found = middle + np.einsum("mr,sr,rk->smk", shown, shrunk, parts, optimize=True)
    return np.asarray(found.clip(y.min(0), y.max(0)))


def _numbers(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Number of the person of each row of the concatenated `rows`."""
    return np.repeat(np.arange(len(rows)), [len(row) for row in rows])


def _folds(who: np.ndarray, count: int) -> list[np.ndarray]:
    """Masks of rows: groups of whole people, each of which is tested once. who: person of each row."""
    people = np.unique(who)
    count = min(count, len(people))
    return [np.isin(who, people[i::count]) for i in range(count)]


def _best_strength(x: np.ndarray, y: np.ndarray, who: np.ndarray) -> float:
    """The strength with the smallest error for people who are left out; a middle one where there is only one person."""
    if len(np.unique(who)) < 2:
        return float(STRENGTHS[len(STRENGTHS) // 2])
    error = np.zeros(len(STRENGTHS))
    for test in _folds(who, INNER):
        error += np.square(ridge(x[~test], y[~test], x[test], STRENGTHS) - y[test]).sum((1, 2))
    return float(STRENGTHS[int(error.argmin())])


def _named(learned: Sequence[np.ndarray], shown: Sequence[np.ndarray], strengths: np.ndarray) -> np.ndarray:
    """Share of the shown frames whose person is named, for each strength, [S]."""
    columns = np.eye(len(learned))[_numbers(learned)]
    guess = ridge(np.concatenate(learned), columns, np.concatenate(shown), strengths).argmax(2)
    return np.asarray((guess == _numbers(shown)).mean(1))
